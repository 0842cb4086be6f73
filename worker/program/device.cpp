#include "worker/program/device.h"

#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "worker/comm/rank_monitor.h"

#ifdef ROTOR_HAVE_CUDA
#include <unistd.h>

#include <array>

#include "kernels/cuda_status.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/comm/collective_watchdog.h"
#include "worker/comm/nccl_communicator.h"
#endif

namespace rotor::worker {
namespace {

int usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

#ifdef ROTOR_HAVE_CUDA

/// Host and GPU, the same for two ranks that share it whatever numbers they know it by.
Result<std::string> gpu_identity(int device) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  cudaDeviceProp properties{};
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDeviceProperties(&properties, device)));
  constexpr const char* kDigits = "0123456789abcdef";
  std::string identity = std::string(host.data()) + " GPU ";
  for (const char byte : properties.uuid.bytes) {
    const auto value = static_cast<unsigned char>(byte);
    identity += {kDigits[value >> 4U], kDigits[value & 15U]};
  }
  return identity;
}

Result<std::unique_ptr<Backend>> make_cuda_backend(int device, int64_t memory_limit) {
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<cuda::CudaBackend> backend,
                         cuda::CudaBackend::create(device, memory_limit));
  return std::unique_ptr<Backend>(std::move(backend));
}

const cuda::CudaBackend* as_cuda(const Backend& backend) {
  return dynamic_cast<const cuda::CudaBackend*>(&backend);
}

#endif

Status check_devices(Communicator& world, [[maybe_unused]] const Backend& backend) {
  Result<std::string> identity = std::string();  // of a CPU
#ifdef ROTOR_HAVE_CUDA
  if (const cuda::CudaBackend* cuda = as_cuda(backend); cuda != nullptr) {
    identity = gpu_identity(cuda->device());
  }
#endif
  ROTOR_RETURN_IF_ERROR(world.agree(identity.status()));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> all, world.all_gather(*identity));
  std::map<std::string, size_t> rank_of;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty() != all[0].empty()) {
      return failed_precondition(
                 "rank 0 computes on a " + std::string(all[0].empty() ? "CPU" : "GPU") + ", rank " +
                 std::to_string(rank) + " on a " + (all[rank].empty() ? "CPU" : "GPU") +
                 ": give --device cpu, or --device cuda to learn what is missing")
          .with_reason("MIXED_DEVICES");
    }
    const auto [other, first] = rank_of.emplace(all[rank], rank);
    if (!first && !all[rank].empty()) {
      return failed_precondition(
                 "ranks " + std::to_string(other->second) + " and " + std::to_string(rank) +
                 " share " + all[rank] +
                 ": start at most one rank a GPU (mpirun -n, --map-by ppr:N:node), or give "
                 "--device cpu")
          .with_reason("GPU_SHARED");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const DeviceOptions& options,
                                              [[maybe_unused]] int local_rank, int local_size) {
  const std::string& device = options.device;
#ifdef ROTOR_HAVE_CUDA
  if (device != "cpu") {
    const int gpus = cuda::visible_devices();
    if (gpus > 0) {
      return make_cuda_backend(local_rank % gpus, options.memory_limit);
    }
    if (device == "cuda") {
      return failed_precondition(
                 "--device cuda: no GPU is visible: look at nvidia-smi, at the driver's version "
                 "and "
                 "at CUDA_VISIBLE_DEVICES, or give --device cpu")
          .with_reason("CUDA_NO_DEVICE");
    }
    spdlog::info("computing on the CPU: no GPU is visible");
  }
#else
  if (device == "cuda") {
    return unimplemented(
               "--device cuda: this build has no CUDA backend: build it where nvcc and NCCL are, "
               "or "
               "give --device cpu")
        .with_reason("NO_CUDA");
  }
  if (device == "auto") {
    spdlog::info("computing on the CPU: this build has no CUDA backend");
  }
#endif
  const int share = std::max(1, usable_cores() / local_size);
  return make_cpu_backend(options.threads > 0 ? options.threads : share, options.memory_limit);
}

Result<RankSetup> set_up_rank(const MpiEnvironment& mpi, const DeviceOptions& options,
                              int group_size) {
  ROTOR_ASSIGN_OR_RETURN(const std::unique_ptr<Communicator> world, mpi.make_group(0));
  const Result<RankTable::Options> limits = rank_limits();
  ROTOR_RETURN_IF_ERROR(world->agree(limits.status()));
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group, mpi.make_group(group_size, *limits));
  Result<std::unique_ptr<Backend>> backend =
      make_backend(options, mpi.local_rank(), mpi.local_size());
  ROTOR_RETURN_IF_ERROR(world->agree(backend.status()));
  RankSetup setup;
  setup.backend = std::move(backend).value();
  ROTOR_RETURN_IF_ERROR(check_devices(*world, *setup.backend));
#ifdef ROTOR_HAVE_CUDA
  if (const cuda::CudaBackend* cuda = as_cuda(*setup.backend);
      cuda != nullptr && group->size() > 1) {
    const Result<std::chrono::seconds> timeout = collective_timeout();
    ROTOR_RETURN_IF_ERROR(world->agree(timeout.status()));
    Result<std::unique_ptr<Communicator>> nccl =
        make_nccl_communicator(std::move(group), cuda->device(), cuda->stream(), *timeout);
    ROTOR_RETURN_IF_ERROR(world->agree(nccl.status()));
    group = std::move(nccl).value();
  }
#endif
  setup.group = std::move(group);
  return setup;
}

}  // namespace rotor::worker
