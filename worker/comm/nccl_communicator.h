// The collectives of a group whose ranks each have a GPU: tensors go through NCCL on the backend's
// stream, everything on the host (agree, strings, numbers) through the communicator that it wraps.
// No device memory ever reaches MPI.
//
// Tensor operations only enqueue: they return before the data has moved, in order with what the
// backend does on the same stream. Sizes are bytes in size_t, so tensors beyond 2^31 bytes go in
// one piece.
//
// A collective that does not end in time ends the process with kExitInterrupted, after a log line
// that names it and the missing rank, so that mpirun ends the gang and it can be started again
// (collective_watchdog.h). Rejected: NCCL's non-blocking communicators, where every call may say
// "in progress" and has to be polled; all that they give beyond that is an abort in the middle of
// a blocked call, and the process ends then anyway.
//
// Thread-safety: as Communicator. Errors: INTERNAL, reason NCCL_ERROR, with NCCL's words.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <memory>

#include "quant/base/status.h"
#include "worker/comm/communicator.h"

namespace rotor::worker {

/// Collective over `host`, which it takes over: one NCCL communicator for tensors on `device`, work
/// on `stream`; both must outlive it. Costs some hundred milliseconds and some hundred MiB of
/// device memory. Errors: NCCL's, agreed over the group.
Result<std::unique_ptr<Communicator>> make_nccl_communicator(std::unique_ptr<Communicator> host,
                                                             int device, cudaStream_t stream,
                                                             std::chrono::seconds timeout);

}  // namespace rotor::worker
