#include "kernels/device/tile_launch.cuh"
#include "kernels/split_tf32.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// To the nearest number of ten mantissa bits.
__device__ __forceinline__ float round_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
}

__global__ void __launch_bounds__(kTileThreads)
    split_tf32_kernel(const float* x, int64_t rows, int64_t cols, int64_t ld, float* first,
                      float* second) {
  for_each_in_tile(rows, cols, [&](int64_t row, int64_t col) {
    const float value = x[row * ld + col];
    const float high = round_tf32(value);
    const float low = round_tf32(value - high);
    const int64_t at = row * kSplitParts * cols + col;
    if (first != nullptr) {
      first[at] = low;
      first[at + cols] = high;
      first[at + 2 * cols] = high;
    }
    if (second != nullptr) {
      second[at] = high;
      second[at + cols] = low;
      second[at + 2 * cols] = high;
    }
  });
}

}  // namespace

Status split_tf32(const float* x, int64_t rows, int64_t cols, int64_t ld, float* first,
                  float* second, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(element_count(rows, cols).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x, alignof(float)));
  return launch_tiles("split_tf32", split_tf32_kernel, rows, cols, stream, x, rows, cols, ld, first,
                      second);
}

}  // namespace rotor::kernels
