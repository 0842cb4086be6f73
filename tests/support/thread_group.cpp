#include "tests/support/thread_group.h"

#include <barrier>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>
#include <utility>
#include <vector>

namespace rotor::testing {
namespace {

using worker::Communicator;
using worker::Tensor;
using worker::Transfer;

struct Shared {
  explicit Shared(int ranks)
      : barrier(ranks), statuses(static_cast<size_t>(ranks)), strings(statuses.size()) {}

  std::barrier<> barrier;
  std::vector<Status> statuses;
  std::vector<std::string> strings;
  void* data = nullptr;
  std::vector<std::vector<float>> values = std::vector<std::vector<float>>(statuses.size());

  /// What a rank sends another in one exchange.
  std::vector<const Tensor*>& mail_to(int from, int to) {
    return mail[static_cast<size_t>(from) * statuses.size() + static_cast<size_t>(to)];
  }
  std::vector<std::vector<const Tensor*>> mail =
      std::vector<std::vector<const Tensor*>>(statuses.size() * statuses.size());
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

  Status exchange(const std::vector<Transfer>& sends,
                  const std::vector<Transfer>& receives) override {
    for (const Transfer& transfer : sends) {
      shared_.mail_to(rank_, transfer.peer).push_back(&transfer.tensor);
    }
    shared_.barrier.arrive_and_wait();
    std::map<int, size_t> next;
    for (const auto& [tensor, peer] : receives) {
      const Tensor& sent = *shared_.mail_to(peer, rank_).at(next[peer]++);
      if (sent.bytes() > 0) {
        std::memcpy(tensor.data(), sent.data(), sent.bytes());
      }
    }
    shared_.barrier.arrive_and_wait();
    for (int peer = 0; peer < size_; ++peer) {
      shared_.mail_to(rank_, peer).clear();
    }
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
