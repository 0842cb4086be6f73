#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "quant/base/parallel.h"

namespace rotor {
namespace {

class ThreadPool final : public Parallel {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this] { serve(); });
    }
  }

  ~ThreadPool() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    start_.notify_all();
    for (std::thread& worker : workers_) {
      worker.join();
    }
  }

  void for_each(int64_t pieces, const std::function<void(int64_t)>& piece) override {
    if (workers_.empty() || pieces <= 1) {
      for (int64_t i = 0; i < pieces; ++i) {
        piece(i);
      }
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      piece_ = &piece;
      pieces_ = pieces;
      next_.store(0, std::memory_order_relaxed);
      busy_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    start_.notify_all();
    drain(piece, pieces);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

  int threads() const override { return static_cast<int>(workers_.size()) + 1; }

 private:
  void drain(const std::function<void(int64_t)>& piece, int64_t pieces) {
    for (int64_t i = next_.fetch_add(1); i < pieces; i = next_.fetch_add(1)) {
      piece(i);
    }
  }

  void serve() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      start_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) {
        return;
      }
      seen = generation_;
      const std::function<void(int64_t)>& piece = *piece_;
      const int64_t pieces = pieces_;
      lock.unlock();
      drain(piece, pieces);
      lock.lock();
      if (--busy_ == 0) {
        done_.notify_one();
      }
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  const std::function<void(int64_t)>* piece_ = nullptr;  // guarded by mutex_, valid while busy_ > 0
  int64_t pieces_ = 0;
  std::atomic<int64_t> next_{0};
  int busy_ = 0;
  uint64_t generation_ = 0;
  bool stop_ = false;
};

}  // namespace

std::unique_ptr<Parallel> make_thread_pool(int threads) {
  return std::make_unique<ThreadPool>(threads < 1 ? 1 : threads);
}

}  // namespace rotor
