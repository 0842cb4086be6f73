#include "tests/support/thread_group.h"

#include <barrier>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace rotor::testing {
namespace {

using worker::Communicator;
using worker::Tensor;

struct Shared {
  explicit Shared(int ranks)
      : barrier(ranks), statuses(static_cast<size_t>(ranks)), strings(statuses.size()) {}

  std::barrier<> barrier;
  std::vector<Status> statuses;
  std::vector<std::string> strings;
  void* data = nullptr;
  std::vector<std::vector<float>> values = std::vector<std::vector<float>>(statuses.size());

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, int>, const Tensor*> mail;  // by sender and receiver
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(Shared& shared, int rank, int size)
      : shared_(shared), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Status agree(const Status& mine) override {
    shared_.statuses[static_cast<size_t>(rank_)] = mine;
    shared_.barrier.arrive_and_wait();
    Status agreed;
    for (const Status& status : shared_.statuses) {
      if (!status.ok()) {
        agreed = status;
        break;
      }
    }
    shared_.barrier.arrive_and_wait();
    return agreed;
  }

  Status broadcast(const Tensor& tensor, int root) override {
    return broadcast_host(tensor.data(), tensor.bytes(), root);
  }

  Status broadcast_host(void* data, size_t bytes, int root) override {
    if (rank_ == root) {
      shared_.data = data;
    }
    shared_.barrier.arrive_and_wait();
    if (rank_ != root && bytes > 0) {
      std::memcpy(data, shared_.data, bytes);
    }
    shared_.barrier.arrive_and_wait();
    return {};
  }

  Status broadcast(std::string* bytes, int root) override {
    ROTOR_ASSIGN_OR_RETURN(std::vector<std::string> all, all_gather(*bytes));
    *bytes = std::move(all[static_cast<size_t>(root)]);
    return {};
  }

  Status broadcast_idle(std::string* bytes, int root) override { return broadcast(bytes, root); }

  Status send(const Tensor& tensor, int to) override {
    std::unique_lock lock(shared_.mutex);
    const std::pair key(rank_, to);
    shared_.mail[key] = &tensor;
    shared_.changed.notify_all();
    shared_.changed.wait(lock, [&] { return shared_.mail[key] == nullptr; });
    return {};
  }

  Status receive(const Tensor& tensor, int from) override {
    std::unique_lock lock(shared_.mutex);
    const std::pair key(from, rank_);
    shared_.changed.wait(lock, [&] { return shared_.mail[key] != nullptr; });
    std::memcpy(tensor.data(), shared_.mail[key]->data(), tensor.bytes());
    shared_.mail[key] = nullptr;
    shared_.changed.notify_all();
    return {};
  }

  Status all_gather_rows(const Tensor& tensor, const std::vector<int64_t>& begin) override {
    for (int root = 0; root < size_; ++root) {
      const auto i = static_cast<size_t>(root);
      ROTOR_RETURN_IF_ERROR(broadcast(tensor.row_range(begin[i], begin[i + 1] - begin[i]), root));
    }
    return {};
  }

  Result<std::vector<std::string>> all_gather(const std::string& mine) override {
    shared_.strings[static_cast<size_t>(rank_)] = mine;
    shared_.barrier.arrive_and_wait();
    std::vector<std::string> all = shared_.strings;
    shared_.barrier.arrive_and_wait();
    return all;
  }

  Status all_reduce_max(std::vector<float>* values) override {
    shared_.values[static_cast<size_t>(rank_)] = *values;
    shared_.barrier.arrive_and_wait();
    for (const std::vector<float>& other : shared_.values) {
      for (size_t i = 0; i < other.size(); ++i) {
        const bool larger = std::isnan(other[i]) || other[i] > (*values)[i];
        (*values)[i] = larger ? other[i] : (*values)[i];
      }
    }
    shared_.barrier.arrive_and_wait();
    return {};
  }

 private:
  Shared& shared_;
  int rank_;
  int size_;
};

}  // namespace

void run_ranks(int ranks, const std::function<void(worker::Communicator&)>& body) {
  Shared shared(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&shared, &body, rank, ranks] {
      ThreadCommunicator communicator(shared, rank, ranks);
      body(communicator);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace rotor::testing
