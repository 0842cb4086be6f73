// Many small problems on one GPU: each on a stream of its own, fed by a thread of its own, so that
// neither a problem's short kernels nor its waits leave the device idle.
#include <algorithm>
#include <atomic>
#include <thread>

#include "kernels/cuda_status.h"
#include "worker/backend/cuda/cuda_backend.h"

namespace rotor::worker::cuda {
namespace {

// A piece in the solver keeps a tenth of the multiprocessors busy at the sizes of today's experts.
constexpr int64_t kSideBackends = 8;

}  // namespace

Status CudaBackend::for_each(int64_t count, const std::function<Status(Backend&, int64_t)>& piece) {
  while (std::ssize(side_) < std::min(kSideBackends, count)) {
    ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<CudaBackend> made, create_on(device_, pool_));
    side_.push_back(std::move(made));
  }
  ROTOR_RETURN_IF_ERROR(synchronize());  // what the pieces read is there
  std::vector<Status> statuses(static_cast<size_t>(count));
  std::atomic<int64_t> next = 0;
  const auto serve = [&](CudaBackend& mine) {
    const Status current = ROTOR_CUDA(cudaSetDevice(device_));
    for (int64_t i = next++; i < count; i = next++) {
      Status& status = statuses[static_cast<size_t>(i)];
      status = current.ok() ? piece(mine, i) : current;
      const Status done = mine.synchronize();
      status = status.ok() ? done : status;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < static_cast<size_t>(std::min(kSideBackends, count)); ++i) {
    threads.emplace_back(serve, std::ref(*side_[i]));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (Status& status : statuses) {
    ROTOR_RETURN_IF_ERROR(std::move(status));
  }
  return {};
}

}  // namespace rotor::worker::cuda
