#include "worker/comm/nccl_communicator.h"

#include <nccl.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "kernels/cuda_status.h"
#include "quant/base/exit_codes.h"
#include "quant/base/sha256.h"
#include "worker/comm/collective_watchdog.h"
#include "worker/comm/progress_board.h"

namespace rotor::worker {
namespace {

// How long an abort may take before the process ends without it.
constexpr std::chrono::seconds kAbortTime{10};

Status nccl_status(ncclResult_t result, const char* call, ncclComm_t comm) {
  if (result == ncclSuccess) {
    return {};
  }
  std::string message = std::string(call) + ": " + ncclGetErrorString(result);
  const char* more = ncclGetLastError(comm);
  if (more != nullptr && *more != '\0') {
    message += " (" + std::string(more) + ")";
  }
  return internal_error(std::move(message)).with_reason("NCCL_ERROR");
}

#define ROTOR_NCCL(call, comm) nccl_status((call), #call, (comm))

/// A mark on a stream that tells when all before it is done.
Result<std::shared_ptr<CUevent_st>> record_event(cudaStream_t stream) {
  cudaEvent_t made = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventCreateWithFlags(&made, cudaEventDisableTiming)));
  std::shared_ptr<CUevent_st> event(made, [](cudaEvent_t old) { (void)cudaEventDestroy(old); });
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventRecord(made, stream)));
  return event;
}

std::string rank_list(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) {
    text += (text.empty() ? "" : ", ") + std::to_string(rank);
  }
  return text;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, int device, cudaStream_t stream)
      : host_(std::move(host)), device_(device), stream_(stream) {}

  ~NcclCommunicator() override {
    if (comm_ != nullptr) {
      const auto destroyed = watch_call("the end of the NCCL communicator");
      (void)ncclCommDestroy(comm_);  // nobody is left to tell
      *destroyed = true;
    }
    watchdog_.reset();
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  Status connect(std::chrono::seconds timeout) {
    ncclUniqueId id{};
    Status mine;
    if (rank() == 0) {
      mine = ROTOR_NCCL(ncclGetUniqueId(&id), nullptr);
    }
    ROTOR_RETURN_IF_ERROR(host_->agree(mine));
    ROTOR_RETURN_IF_ERROR(host_->broadcast_host(&id, sizeof(id), 0));

    const std::string name =
        "rotor-" + sha256_hex({id.internal, sizeof(id.internal)}).substr(0, 32);
    Result<std::unique_ptr<ProgressBoard>> board = ProgressBoard::create(name, rank(), size());
    const Status agreed = host_->agree(board.status());
    if (board.ok()) {
      board_ = std::move(board).value();
      board_->remove_name();
    }
    ROTOR_RETURN_IF_ERROR(agreed);

    CollectiveWatchdog::Options options;
    options.timeout = timeout;
    // Events are asked about on the device that they are of; else CUDA would set up device 0, too.
    options.prepare_thread = [this] { (void)cudaSetDevice(device_); };
    options.give_up = [this](const Status& why) { give_up(why); };
    watchdog_ = std::make_unique<CollectiveWatchdog>(std::move(options));

    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 1;
    ncclComm_t comm = nullptr;
    const auto made = watch_call("making the NCCL communicator");
    mine = ROTOR_NCCL(ncclCommInitRankConfig(&comm, size(), id, rank(), &config), nullptr);
    *made = true;
    comm_ = comm;
    return host_->agree(mine);
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  Status broadcast(const Tensor& tensor, int root) override {
    return collective("broadcast from rank " + std::to_string(root), tensor.bytes(), [&] {
      return ROTOR_NCCL(ncclBroadcast(tensor.data(), tensor.data(), tensor.bytes(), ncclUint8, root,
                                      comm_, stream_),
                        comm_);
    });
  }

  Status exchange(const std::vector<Transfer>& sends,
                  const std::vector<Transfer>& receives) override {
    size_t bytes = 0;
    for (const std::vector<Transfer>* list : {&sends, &receives}) {
      for (const Transfer& transfer : *list) {
        bytes += transfer.tensor.bytes();
      }
    }
    return collective("exchange", bytes, [&]() -> Status {
      ROTOR_RETURN_IF_ERROR(ROTOR_NCCL(ncclGroupStart(), comm_));
      Status status;
      for (const auto& [tensor, peer] : sends) {
        if (status.ok()) {
          status = ROTOR_NCCL(
              ncclSend(tensor.data(), tensor.bytes(), ncclUint8, peer, comm_, stream_), comm_);
        }
      }
      for (const auto& [tensor, peer] : receives) {
        if (status.ok()) {
          status = ROTOR_NCCL(
              ncclRecv(tensor.data(), tensor.bytes(), ncclUint8, peer, comm_, stream_), comm_);
        }
      }
      const Status ended = ROTOR_NCCL(ncclGroupEnd(), comm_);
      return status.ok() ? ended : status;
    });
  }

  Status all_gather_rows(const Tensor& tensor, const std::vector<int64_t>& begin) override {
    return collective("all-gather", tensor.bytes(), [&]() -> Status {
      // One launch for all ranges, however uneven they are.
      ROTOR_RETURN_IF_ERROR(ROTOR_NCCL(ncclGroupStart(), comm_));
      Status status;
      for (size_t root = 0; root + 1 < begin.size() && status.ok(); ++root) {
        const Tensor rows = tensor.row_range(begin[root], begin[root + 1] - begin[root]);
        if (rows.bytes() > 0) {
          status = ROTOR_NCCL(ncclBroadcast(rows.data(), rows.data(), rows.bytes(), ncclUint8,
                                            static_cast<int>(root), comm_, stream_),
                              comm_);
        }
      }
      const Status ended = ROTOR_NCCL(ncclGroupEnd(), comm_);
      return status.ok() ? ended : status;
    });
  }

  Status agree(const Status& mine) override { return host_->agree(mine); }
  Status broadcast_host(void* data, size_t bytes, int root) override {
    return host_->broadcast_host(data, bytes, root);
  }
  Status broadcast(std::string* bytes, int root) override { return host_->broadcast(bytes, root); }
  Result<std::vector<std::string>> all_gather(const std::string& mine) override {
    return host_->all_gather(mine);
  }
  Status all_reduce_max(std::vector<float>* values) override {
    return host_->all_reduce_max(values);
  }
  Status broadcast_idle(std::string* bytes, int root) override {
    return host_->broadcast_idle(bytes, root);
  }

  std::vector<RankStatus> ranks() override { return host_->ranks(); }

 private:
  template <typename Call>
  Status collective(const std::string& what, size_t bytes, const Call& call) {
    if (bytes == 0) {
      return {};
    }
    board_->enter(++number_);
    ROTOR_RETURN_IF_ERROR(call());
    ROTOR_ASSIGN_OR_RETURN(std::shared_ptr<CUevent_st> event, record_event(stream_));
    watchdog_->watch("collective " + std::to_string(number_) + ", " + what + " of " +
                         std::to_string(bytes) + " bytes",
                     [this, number = number_, event = std::move(event)] {
                       return finished(number, event.get());
                     });
    return {};
  }

  /// Watches a call of this thread, which says so when it is back.
  std::shared_ptr<std::atomic<bool>> watch_call(const std::string& what) {
    auto back = std::make_shared<std::atomic<bool>>(false);
    watchdog_->watch(what, [back]() -> Result<bool> { return back->load(); });
    return back;
  }

  /// Called by the watchdog.
  Result<bool> finished(uint64_t number, cudaEvent_t event) {
    oldest_ = number;
    ncclResult_t asynchronous = ncclSuccess;
    ROTOR_RETURN_IF_ERROR(ROTOR_NCCL(ncclCommGetAsyncError(comm_, &asynchronous), comm_));
    ROTOR_RETURN_IF_ERROR(nccl_status(asynchronous, "NCCL, in the background", comm_));
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaErrorNotReady) {
      (void)cudaGetLastError();
      return false;
    }
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(state));
    return true;
  }

  /// Called by the watchdog.
  [[noreturn]] void give_up(const Status& why) {
    std::string missing = rank_list(board_->behind(oldest_));
    if (!missing.empty()) {
      missing = "; not begun, on this host, by rank " + missing;
    }
    spdlog::critical(
        "rank {} of {}, GPU {}: {}{}. Ending the process, so that mpirun ends the gang", rank(),
        size(), device_, why.to_string(), missing);
    spdlog::default_logger()->flush();
    if (comm_ != nullptr) {
      std::promise<void> aborted;
      const std::future<void> done = aborted.get_future();
      std::thread([comm = comm_.load(), aborted = std::move(aborted)]() mutable {
        (void)ncclCommAbort(comm);
        aborted.set_value();
      }).detach();
      done.wait_for(kAbortTime);
    }
    std::_Exit(kExitInterrupted);
  }

  std::unique_ptr<Communicator> host_;
  const int device_;
  const cudaStream_t stream_;
  std::atomic<ncclComm_t> comm_ = nullptr;
  std::unique_ptr<ProgressBoard> board_;
  uint64_t number_ = 0;               // collectives begun
  std::atomic<uint64_t> oldest_ = 0;  // the one that the watchdog waits for
  std::unique_ptr<CollectiveWatchdog> watchdog_;
};

}  // namespace

Result<std::unique_ptr<Communicator>> make_nccl_communicator(std::unique_ptr<Communicator> host,
                                                             int device, cudaStream_t stream,
                                                             std::chrono::seconds timeout) {
  auto made = std::make_unique<NcclCommunicator>(std::move(host), device, stream);
  ROTOR_RETURN_IF_ERROR(made->connect(timeout));
  return std::unique_ptr<Communicator>(std::move(made));
}

}  // namespace rotor::worker
