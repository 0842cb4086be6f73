#include <cuda_fp16.h>

#include "kernels/device/tile_launch.cuh"
#include "kernels/split_f16.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

__global__ void __launch_bounds__(kTileThreads)
    split_f16_kernel(const float* x, int64_t rows, int64_t cols, int64_t ld, __half* parts) {
  for_each_in_tile(rows, cols, [&](int64_t row, int64_t col) {
    const float value = x[row * ld + col];
    const __half high = __float2half_rn(value);
    __half* out = parts + row * kSplitColumns * cols + col;
    out[0] = high;
    out[cols] = __float2half_rn(value - __half2float(high));
    out[2 * cols] = high;
    out[3 * cols] = high;
  });
}

}  // namespace

Status split_f16(const float* x, int64_t rows, int64_t cols, int64_t ld, uint16_t* parts,
                 cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(element_count(rows, cols).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("parts", parts));
  return launch_tiles("split_f16", split_f16_kernel, rows, cols, stream, x, rows, cols, ld,
                      reinterpret_cast<__half*>(parts));
}

}  // namespace rotor::kernels
