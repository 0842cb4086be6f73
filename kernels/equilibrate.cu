#include "kernels/device/tile_launch.cuh"
#include "kernels/equilibrate.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

__global__ void find_scales_kernel(const float* a, int64_t n, float* scales) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) {
    const float value = a[i * (n + 1)];
    // value is in [2^e, 2^(e + 1)), and its scale's square 2^e or 2^(e + 1), whichever is even.
    scales[i] = value > 0.0F && isfinite(value) ? ldexpf(1.0F, (ilogbf(value) + 1) >> 1) : 1.0F;
  }
}

template <bool kBothSides>
__global__ void __launch_bounds__(kTileThreads)
    scale_lower_kernel(float* a, int64_t n, const float* scales) {
  for_each_in_tile(n, n, [&](int64_t row, int64_t col) {
    if (col <= row) {
      const float value = a[row * n + col];
      a[row * n + col] = kBothSides ? value / scales[row] / scales[col] : value * scales[row];
    }
  });
}

Status check_operands(const float* a, int64_t n, const float* scales) {
  ROTOR_RETURN_IF_ERROR(element_count(n, n).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("a", a));
  return check_pointer("scales", scales);
}

}  // namespace

Status equilibrate(float* a, int64_t n, float* scales, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_operands(a, n, scales));
  ROTOR_RETURN_IF_ERROR(
      launch("find_scales", find_scales_kernel, n, kBlockThreads, stream, a, n, scales));
  return launch_tiles("equilibrate", scale_lower_kernel<true>, n, n, stream, a, n, scales);
}

Status scale_lower_rows(float* a, int64_t n, const float* scales, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_operands(a, n, scales));
  return launch_tiles("scale_lower_rows", scale_lower_kernel<false>, n, n, stream, a, n, scales);
}

}  // namespace rotor::kernels
