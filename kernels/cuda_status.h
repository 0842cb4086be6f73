// The one way a CUDA error becomes a rotor::Status: ROTOR_CUDA(call).
//
// Thread-safety: pure, but for CUDA's own per-thread last error, which is cleared, so that the next
// check does not report this error again. Cost: nothing on success.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// Where and what a checked call is.
struct CudaCall {
  const char* expression;
  const char* file;
  int line;
};

/// The error with the call, its place and CUDA's name and words for it; OK for cudaSuccess. Errors:
///   RESOURCE_EXHAUSTED  CUDA_OUT_OF_MEMORY  details bytes_needed (where given), bytes_free
///   FAILED_PRECONDITION CUDA_NO_DEVICE      no GPU, or no driver that fits
///   FAILED_PRECONDITION CUDA_UNSUPPORTED_DEVICE  this build has no code for the GPU
///   INTERNAL            CUDA_ERROR          everything else; detail cuda_error has its name
Status cuda_status(cudaError_t error, const CudaCall& call, int64_t bytes_needed = 0);

}  // namespace rotor::kernels

/// ROTOR_CUDA(call) or, for an allocation, ROTOR_CUDA(call, bytes_needed).
#define ROTOR_CUDA(call, ...)    \
  ::rotor::kernels::cuda_status( \
      (call), ::rotor::kernels::CudaCall{#call, __FILE__, __LINE__} __VA_OPT__(, ) __VA_ARGS__)
