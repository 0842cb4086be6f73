// Which backend a rank computes on, and how a group's ranks pass tensors of it.
//
// Thread-safety: main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "quant/base/status.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/comm/mpi_environment.h"

namespace rotor::worker {

struct DeviceOptions {
  std::string device = "auto";  // cpu, cuda
  int threads = 0;              // of the CPU backend
  int64_t memory_limit = 0;     // bytes of the device's memory for tensors; 0: what there is
};

/// `device`: "auto" (CUDA where this build has it and a GPU is visible, else the CPU; the log says
/// which and why), "cpu", "cuda". On GPUs rank `local_rank` of a host takes the visible GPU of that
/// number, modulo their count. `threads`: of the CPU backend; 0: the cores this process may run on,
/// shared with the `local_size` ranks of its host. Errors, for "cuda": UNIMPLEMENTED (NO_CUDA) in a
/// build without it; FAILED_PRECONDITION (CUDA_NO_DEVICE) where no GPU is visible; those of the
/// backend.
Result<std::unique_ptr<Backend>> make_backend(const DeviceOptions& options, int local_rank,
                                              int local_size);

/// A rank's backend and its group.
struct RankSetup {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Communicator> group;  // goes first: it uses the backend's stream
};

/// Collective over all ranks that mpirun started: the backend, then the group of `group_size` ranks
/// (0: all) that passes its tensors, through NCCL between GPUs. An error on one rank is every
/// rank's. Errors: those of make_backend and MpiEnvironment::make_group; FAILED_PRECONDITION for
/// two ranks on one GPU (GPU_SHARED) and for a group that has CPUs beside GPUs (MIXED_DEVICES);
/// those of make_nccl_communicator.
Result<RankSetup> set_up_rank(const MpiEnvironment& mpi, const DeviceOptions& options,
                              int group_size);

}  // namespace rotor::worker
