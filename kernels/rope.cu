#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/rope.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// One thread rotates kWidth neighbouring pairs of one head; kWidth divides `half` and head_dim.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    rope_kernel(T* x, int64_t count, int64_t heads, int head_dim, int half, int64_t seq_len,
                const float* cos, const float* sin) {
  const int64_t piece = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (piece * kWidth >= count) {
    return;
  }
  const int pieces = half / kWidth;
  const int64_t head = piece / pieces;  // of all rows
  const int at = static_cast<int>(piece - head * pieces) * kWidth;
  const int64_t entry = head / heads % seq_len * half + at;
  T* low = x + head * head_dim + at;
  T* high = low + half;
  float a[kWidth];
  float b[kWidth];
  float c[kWidth];
  float s[kWidth];
  load_values(low, a);
  load_values(high, b);
  load_values(cos + entry, c);
  load_values(sin + entry, s);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float rotated = __fmaf_rn(a[i], c[i], -__fmul_rn(b[i], s[i]));
    b[i] = __fmaf_rn(b[i], c[i], __fmul_rn(a[i], s[i]));
    a[i] = rotated;
  }
  store_values(low, a);
  store_values(high, b);
}

Status check_shape(int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary, int64_t seq_len) {
  constexpr int64_t kMaxDim = 1 << 20;
  if (heads <= 0 || head_dim <= 0 || head_dim > kMaxDim || head_dim % 2 != 0 || rotary <= 0 ||
      rotary > head_dim || rotary % 2 != 0 || seq_len <= 0 || rows < 0 || rows % seq_len != 0) {
    return invalid_argument("rope of " + std::to_string(rows) + " rows in sequences of " +
                            std::to_string(seq_len) + ", " + std::to_string(heads) + " heads of " +
                            std::to_string(head_dim) + " rotated over " + std::to_string(rotary) +
                            ": whole sequences, an even head_dim and an even part of it are needed")
        .with_reason("BAD_SHAPE");
  }
  return {};
}

}  // namespace

Status rope(void* x, DType dtype, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary,
            int64_t seq_len, const float* cos, const float* sin, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(check_shape(rows, heads, head_dim, rotary, seq_len));
  ROTOR_ASSIGN_OR_RETURN(const int64_t columns, element_count(heads, head_dim));
  ROTOR_RETURN_IF_ERROR(element_count(rows, columns).status());
  const int64_t count = rows * heads * rotary;
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("cos", cos));
  ROTOR_RETURN_IF_ERROR(check_pointer("sin", sin));
  const int64_t half = rotary / 2;
  return with_typed(x, dtype, [&]<typename T>(T* typed) {
    constexpr int kWidth = kTileWidth<T, T>;
    const bool wide = half % kWidth == 0 && head_dim % kWidth == 0;
    return launch("rope", wide ? &rope_kernel<kWidth, T> : &rope_kernel<1, T>, count / 2,
                  kBlockThreads * (wide ? kWidth : 1), stream, typed, count / 2, heads,
                  static_cast<int>(head_dim), static_cast<int>(half), seq_len, cos, sin);
  });
}

}  // namespace rotor::kernels
