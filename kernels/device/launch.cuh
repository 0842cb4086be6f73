// Launching a kernel and picking its types.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda_status.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int kBlockThreads = 256;

/// One-dimensional launch of as many blocks of kBlockThreads as it takes to do `work` at
/// `work_per_block` each. `name` is for the error.
template <typename... Params>
Status launch(const char* name, void (*kernel)(Params...), int64_t work, int64_t work_per_block,
              cudaStream_t stream, const std::type_identity_t<Params>&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((work + work_per_block - 1) / work_per_block));
  config.blockDim = dim3(kBlockThreads);
  config.stream = stream;
  return ROTOR_CUDA(cudaLaunchKernelEx(&config, kernel, arguments...)).with_context(name);
}

/// Calls f with a pointer of the dtype's own type; the dtype is one of kValueDTypes.
template <typename F>
Status with_typed(const void* pointer, DType dtype, F&& f) {
  return dtype == DType::kBf16 ? f(static_cast<const __nv_bfloat16*>(pointer))
                               : f(static_cast<const float*>(pointer));
}

template <typename F>
Status with_typed(void* pointer, DType dtype, F&& f) {
  return dtype == DType::kBf16 ? f(static_cast<__nv_bfloat16*>(pointer))
                               : f(static_cast<float*>(pointer));
}

}  // namespace rotor::kernels
