// Which backend a rank computes on.
#pragma once

#include <memory>
#include <string>

#include "quant/base/status.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// `device`: "auto" (CUDA where this build and this host have it, else the CPU), "cpu", "cuda".
/// `threads`: of the CPU backend; 0: the cores this process may run on, shared with the
/// `local_size` ranks of its host. Errors: UNIMPLEMENTED for "cuda" in a build without it.
Result<std::unique_ptr<Backend>> make_backend(const std::string& device, int threads,
                                              int local_rank, int local_size);

}  // namespace rotor::worker
