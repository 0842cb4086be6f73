#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/rope.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// Of one problem, as kernels take it.
struct Heads {
  int64_t count;  // pairs
  int64_t heads;
  int64_t seq_len;
  int head_dim;
  int first;
  int half;
};

template <int kWidth>
__device__ __forceinline__ void rotate(float (&a)[kWidth], float (&b)[kWidth],
                                       const float (&c)[kWidth], const float (&s)[kWidth]) {
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float rotated = __fmaf_rn(a[i], c[i], -__fmul_rn(b[i], s[i]));
    b[i] = __fmaf_rn(b[i], c[i], __fmul_rn(a[i], s[i]));
    a[i] = rotated;
  }
}

/// One thread rotates kWidth neighbouring pairs of one head, whose parts are half apart; kWidth
/// divides `half`, `first` and head_dim.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    rope_kernel(T* x, Heads shape, const float* cos, const float* sin) {
  const int64_t piece = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (piece * kWidth >= shape.count) {
    return;
  }
  const int pieces = shape.half / kWidth;
  const int64_t head = piece / pieces;  // of all rows
  const int at = static_cast<int>(piece - head * pieces) * kWidth;
  const int64_t entry = head / shape.heads % shape.seq_len * shape.half + at;
  T* low = x + head * shape.head_dim + shape.first + at;
  T* high = low + shape.half;
  float a[kWidth];
  float b[kWidth];
  float c[kWidth];
  float s[kWidth];
  load_values(low, a);
  load_values(high, b);
  load_values(cos + entry, c);
  load_values(sin + entry, s);
  rotate(a, b, c, s);
  store_values(low, a);
  store_values(high, b);
}

/// One thread rotates one pair of neighbours; `first` and head_dim are even.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    rope_neighbours_kernel(T* x, Heads shape, const float* cos, const float* sin) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (pair >= shape.count) {
    return;
  }
  const int64_t head = pair / shape.half;
  const int at = static_cast<int>(pair - head * shape.half);
  const int64_t entry = head / shape.heads % shape.seq_len * shape.half + at;
  T* place = x + head * shape.head_dim + shape.first + 2 * at;
  float both[2];
  load_values(place, both);
  float a[1] = {both[0]};
  float b[1] = {both[1]};
  const float c[1] = {cos[entry]};
  const float s[1] = {sin[entry]};
  rotate(a, b, c, s);
  both[0] = a[0];
  both[1] = b[0];
  store_values(place, both);
}

Status check_shape(const RopeProblem& p) {
  constexpr int64_t kMaxDim = 1 << 20;
  if (p.heads <= 0 || p.head_dim <= 0 || p.head_dim > kMaxDim || p.head_dim % 2 != 0 ||
      p.rotary <= 0 || p.rotary % 2 != 0 || p.first < 0 || p.first > p.head_dim ||
      p.rotary > p.head_dim - p.first || (p.interleaved && p.first % 2 != 0) || p.seq_len <= 0 ||
      p.rows < 0 || p.rows % p.seq_len != 0) {
    return invalid_argument("rope of " + std::to_string(p.rows) + " rows in sequences of " +
                            std::to_string(p.seq_len) + ", " + std::to_string(p.heads) +
                            " heads of " + std::to_string(p.head_dim) + " rotated over " +
                            std::to_string(p.rotary) + " from column " + std::to_string(p.first) +
                            " on: whole sequences, an even head_dim and an even part of it are "
                            "needed")
        .with_reason("BAD_SHAPE");
  }
  return {};
}

}  // namespace

Status rope(void* x, DType dtype, const RopeProblem& problem, const float* cos, const float* sin,
            cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(check_shape(problem));
  ROTOR_ASSIGN_OR_RETURN(const int64_t columns, element_count(problem.heads, problem.head_dim));
  ROTOR_RETURN_IF_ERROR(element_count(problem.rows, columns).status());
  const int64_t half = problem.rotary / 2;
  const Heads shape{.count = problem.rows * problem.heads * half,
                    .heads = problem.heads,
                    .seq_len = problem.seq_len,
                    .head_dim = static_cast<int>(problem.head_dim),
                    .first = static_cast<int>(problem.first),
                    .half = static_cast<int>(half)};
  if (shape.count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("cos", cos));
  ROTOR_RETURN_IF_ERROR(check_pointer("sin", sin));
  return with_typed(x, dtype, [&]<typename T>(T* typed) {
    if (problem.interleaved) {
      return launch("rope", &rope_neighbours_kernel<T>, shape.count, kBlockThreads, stream, typed,
                    shape, cos, sin);
    }
    constexpr int kWidth = kTileWidth<T, T>;
    const bool wide = (half | problem.first | problem.head_dim) % kWidth == 0;
    return launch("rope", wide ? &rope_kernel<kWidth, T> : &rope_kernel<1, T>, shape.count,
                  kBlockThreads * (wide ? kWidth : 1), stream, typed, shape, cos, sin);
  });
}

}  // namespace rotor::kernels
