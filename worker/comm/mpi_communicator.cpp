#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "worker/comm/mpi_environment.h"
#include "worker/comm/rank_monitor.h"

namespace rotor::worker {
namespace {

// MPI counts are ints: longer buffers go in pieces.
constexpr size_t kPiece = size_t{1} << 28;
constexpr int kTensorTag = 1;
constexpr auto kIdlePoll = std::chrono::milliseconds(5);

template <typename Call>
Status in_pieces(void* memory, size_t bytes, const char* what, const Call& call) {
  char* data = static_cast<char*>(memory);
  for (size_t done = 0; done < bytes; done += kPiece) {
    const int count = static_cast<int>(std::min(kPiece, bytes - done));
    if (const int rc = call(data + done, count); rc != MPI_SUCCESS) {
      return internal_error(std::string(what) + ": MPI error " + std::to_string(rc));
    }
  }
  return {};
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, const std::optional<RankTable::Options>& limits) : comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    if (limits.has_value()) {
      monitor_ = std::make_unique<RankMonitor>(comm_, meter_, *limits);
    }
  }
  ~MpiCommunicator() override {
    monitor_.reset();
    MPI_Comm_free(&comm_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Status agree(const Status& mine) override {
    const WaitMeter::Scope scope(meter_);
    int failed = mine.ok() ? size_ : rank_;
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MIN, comm_);
    if (failed == size_) {
      return {};
    }
    int code = static_cast<int>(mine.code());
    MPI_Bcast(&code, 1, MPI_INT, failed, comm_);
    std::string message = mine.message();
    ROTOR_RETURN_IF_ERROR(broadcast(&message, failed));
    std::string reason = mine.reason();
    ROTOR_RETURN_IF_ERROR(broadcast(&reason, failed));
    Status agreed = Status(static_cast<Code>(code), std::move(message)).with_reason(reason);
    int details = static_cast<int>(mine.details().size());
    MPI_Bcast(&details, 1, MPI_INT, failed, comm_);
    auto next = mine.details().begin();
    for (int i = 0; i < details; ++i) {
      std::string key = rank_ == failed ? next->first : std::string();
      std::string value = rank_ == failed ? next->second : std::string();
      ROTOR_RETURN_IF_ERROR(broadcast(&key, failed));
      ROTOR_RETURN_IF_ERROR(broadcast(&value, failed));
      agreed = std::move(agreed).with_detail(std::move(key), std::move(value));
      if (rank_ == failed) {
        ++next;
      }
    }
    return agreed;
  }

  Status broadcast(const Tensor& tensor, int root) override {
    if (size_ == 1) {
      return {};  // the tensor may be a GPU's, which MPI must not touch
    }
    return broadcast_host(tensor.data(), tensor.bytes(), root);
  }

  Status exchange(const std::vector<Transfer>& sends,
                  const std::vector<Transfer>& receives) override {
    const WaitMeter::Scope scope(meter_);
    std::vector<MPI_Request> requests;
    for (const Transfer& transfer : receives) {
      ROTOR_RETURN_IF_ERROR(in_pieces(
          transfer.tensor.data(), transfer.tensor.bytes(), "receive", [&](char* data, int count) {
            return MPI_Irecv(data, count, MPI_BYTE, transfer.peer, kTensorTag, comm_,
                             &requests.emplace_back());
          }));
    }
    for (const Transfer& transfer : sends) {
      ROTOR_RETURN_IF_ERROR(in_pieces(
          transfer.tensor.data(), transfer.tensor.bytes(), "send", [&](char* data, int count) {
            return MPI_Isend(data, count, MPI_BYTE, transfer.peer, kTensorTag, comm_,
                             &requests.emplace_back());
          }));
    }
    if (const int rc =
            MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
        rc != MPI_SUCCESS) {
      return internal_error("exchange: MPI error " + std::to_string(rc));
    }
    return {};
  }

  Status all_gather_rows(const Tensor& tensor, const std::vector<int64_t>& begin) override {
    const WaitMeter::Scope scope(meter_);
    for (int root = 0; root < size_; ++root) {
      const int64_t first = begin[static_cast<size_t>(root)];
      const int64_t count = begin[static_cast<size_t>(root) + 1] - first;
      if (count > 0) {
        ROTOR_RETURN_IF_ERROR(broadcast(tensor.row_range(first, count), root));
      }
    }
    return {};
  }

  Status broadcast_host(void* data, size_t bytes, int root) override {
    const WaitMeter::Scope scope(meter_);
    return in_pieces(data, bytes, "broadcast", [&](char* piece, int count) {
      return MPI_Bcast(piece, count, MPI_BYTE, root, comm_);
    });
  }

  Status broadcast(std::string* bytes, int root) override {
    const WaitMeter::Scope scope(meter_);
    uint64_t length = bytes->size();
    MPI_Bcast(&length, 1, MPI_UINT64_T, root, comm_);
    bytes->resize(length);
    return broadcast_host(bytes->data(), length, root);
  }

  Result<std::vector<std::string>> all_gather(const std::string& mine) override {
    const WaitMeter::Scope scope(meter_);
    std::vector<std::string> all(static_cast<size_t>(size_));
    all[static_cast<size_t>(rank_)] = mine;
    for (int root = 0; root < size_; ++root) {
      ROTOR_RETURN_IF_ERROR(broadcast(&all[static_cast<size_t>(root)], root));
    }
    return all;
  }

  Status all_reduce_max(std::vector<float>* values) override {
    const WaitMeter::Scope scope(meter_);
    // MPI_MAX leaves open what it does with a NaN, so NaNs travel as +Inf beside a flag.
    std::vector<float> flags(values->size(), 0.0F);
    for (size_t i = 0; i < values->size(); ++i) {
      if (std::isnan((*values)[i])) {
        flags[i] = 1.0F;
        (*values)[i] = std::numeric_limits<float>::infinity();
      }
    }
    const int count = static_cast<int>(values->size());
    MPI_Allreduce(MPI_IN_PLACE, values->data(), count, MPI_FLOAT, MPI_MAX, comm_);
    MPI_Allreduce(MPI_IN_PLACE, flags.data(), count, MPI_FLOAT, MPI_MAX, comm_);
    for (size_t i = 0; i < values->size(); ++i) {
      if (flags[i] > 0.0F) {
        (*values)[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return {};
  }

  Status broadcast_idle(std::string* bytes, int root) override {
    uint64_t length = bytes->size();
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibcast(&length, 1, MPI_UINT64_T, root, comm_, &request);
    // Open MPI's blocking wait spins; between jobs that would burn a core for hours.
    for (int done = 0; MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done == 0;) {
      std::this_thread::sleep_for(kIdlePoll);
    }
    bytes->resize(length);
    return broadcast_host(bytes->data(), length, root);
  }

  std::vector<RankStatus> ranks() override {
    return monitor_ != nullptr ? monitor_->ranks() : std::vector<RankStatus>();
  }

 private:
  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
  WaitMeter meter_;
  std::unique_ptr<RankMonitor> monitor_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(
    MPI_Comm comm, const std::optional<RankTable::Options>& limits) {
  return std::make_unique<MpiCommunicator>(comm, limits);
}

}  // namespace rotor::worker
