// Launching a kernel and picking its types.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "kernels/cuda_status.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int kBlockThreads = 256;

/// How a kernel is launched in one dimension.
struct Grid {
  int64_t blocks = 0;
  int threads = kBlockThreads;
  int64_t shared_bytes = 0;  // dynamic
};

/// Launches `grid`, asking for more shared memory than every kernel may have where it must. `name`
/// is for the error; INVALID_ARGUMENT with BAD_SHAPE for more blocks than a launch can have.
template <typename... Params>
Status launch_grid(const char* name, void (*kernel)(Params...), const Grid& grid,
                   cudaStream_t stream, const std::type_identity_t<Params>&... arguments) {
  constexpr int64_t kFreeSharedBytes = 32 * 1024;  // of 48 KiB: a kernel's static memory counts too
  if (grid.blocks > std::numeric_limits<int32_t>::max()) {
    return invalid_argument(std::string(name) + ": " + std::to_string(grid.blocks) +
                            " blocks are more than one launch can have")
        .with_reason("BAD_SHAPE");
  }
  if (grid.shared_bytes > kFreeSharedBytes) {
    ROTOR_RETURN_IF_ERROR(
        ROTOR_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(grid.shared_bytes)))
            .with_context(name));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = static_cast<size_t>(grid.shared_bytes);
  config.stream = stream;
  return ROTOR_CUDA(cudaLaunchKernelEx(&config, kernel, arguments...)).with_context(name);
}

/// One-dimensional launch of as many blocks of kBlockThreads as it takes to do `work` at
/// `work_per_block` each. `name` is for the error.
template <typename... Params>
Status launch(const char* name, void (*kernel)(Params...), int64_t work, int64_t work_per_block,
              cudaStream_t stream, const std::type_identity_t<Params>&... arguments) {
  const Grid grid{.blocks = (work + work_per_block - 1) / work_per_block};
  return launch_grid(name, kernel, grid, stream, arguments...);
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

/// The same for one of kWeightDTypes.
template <typename F>
Status with_typed_weight(const void* pointer, DType dtype, F&& f) {
  return dtype == DType::kF16 ? f(static_cast<const __half*>(pointer))
                              : with_typed(pointer, dtype, f);
}

}  // namespace rotor::kernels
