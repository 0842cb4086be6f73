// The part of a warp in causal attention: scores of its queries against a tile of keys, the running
// softmax, and the sum of values, all in registers.
//
// `S` is an AttentionTiles. Tiles of queries, keys and values are in shared memory, a row of
// S::kRowBytes after another, at addresses that are a multiple of 1024.
#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <cstdint>

#include "kernels/device/fast_math.cuh"
#include "kernels/device/tensor_core.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"

namespace rotor::kernels {

/// What one block does: kWarps warps with kRowTiles times 16 queries each, over kKeys keys at a
/// time. Heads are padded with zeros to kDim in shared memory.
template <int kDim_, int kRowTiles_, int kWarps_, int kKeys_, int kBlocksPerUnit_>
struct AttentionTiles {
  static constexpr int kDim = kDim_;
  static constexpr int kRowTiles = kRowTiles_;
  static constexpr int kWarps = kWarps_;
  static constexpr int kKeys = kKeys_;
  static constexpr int kBlocksPerUnit = kBlocksPerUnit_;  // resident on a multiprocessor
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kWarpQueries = kRowTiles * 16;
  static constexpr int kQueries = kWarps * kWarpQueries;
  static constexpr int kRowBytes = kDim * 2;
  static constexpr int kChunks = kRowBytes / 16;
  static constexpr int kSharedBytes = (kQueries + 2 * kKeys) * kRowBytes;
  // So all queries of a warp are in one key tile: each sees a key in the first tile that the warp
  // takes, and its running maximum is finite from there on.
  static_assert(kKeys % kWarpQueries == 0);
};

/// Powers of two of a weight before it makes a rescaling: a row's reference is its maximum or at
/// most this much below, so that most tiles change no sums.
inline constexpr float kSlack = 8.0F;

/// 2^x; 0 for what is below 2^-126.
__device__ __forceinline__ float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

/// Byte of 16-byte chunk `chunk` of a tile's row. Rows that are read together have their chunks in
/// different banks.
template <typename S>
__device__ __forceinline__ uint32_t tile_offset(int row, int chunk) {
  return static_cast<uint32_t>(row * S::kRowBytes + (chunk ^ (row & 7)) * 16);
}

/// Starts the copy of rows first to first + kRows of a head whose row 0 is at `head`; rows past
/// `last` repeat it, columns past head_dim are zeros.
template <typename S, int kRows>
__device__ __forceinline__ void start_copy(uint32_t tile, const __nv_bfloat16* head, int64_t stride,
                                           int first, int last, int head_dim) {
  const int chunk = static_cast<int>(threadIdx.x) % S::kChunks;
  const bool real = chunk * 8 < head_dim;
  static_assert(kRows * S::kChunks % S::kThreads == 0);
  const __nv_bfloat16* column = head + (real ? chunk * 8 : 0);
#pragma unroll
  for (int i = 0; i < kRows * S::kChunks / S::kThreads; ++i) {
    const int row = static_cast<int>(threadIdx.x) / S::kChunks + i * (S::kThreads / S::kChunks);
    copy_async(tile + tile_offset<S>(row, chunk), column + min(first + row, last) * stride, real);
  }
}

/// The part of a warp: its queries' running softmax and output.
template <typename S>
struct WarpAttention {
  static constexpr int kKeySteps = S::kKeys / 16;
  static constexpr int kDimSteps = S::kDim / 16;

  float scores[S::kRowTiles][2 * kKeySteps][4];
  float output[S::kRowTiles][2 * kDimSteps][4];
  float reference[S::kRowTiles][2];  // of rows group and group + 8
  float sum[S::kRowTiles][2];        // this lane's columns of them
  int lane;
  int first;  // query
  int last;   // query of the sequence

  __device__ __forceinline__ WarpAttention(int first_query, int last_query)
      : lane(static_cast<int>(threadIdx.x) % kWarpSize), first(first_query), last(last_query) {
#pragma unroll
    for (int m = 0; m < S::kRowTiles; ++m) {
      reference[m][0] = reference[m][1] = -INFINITY;
      sum[m][0] = sum[m][1] = 0.0F;
#pragma unroll
      for (auto& tile : output[m]) {
        tile[0] = tile[1] = tile[2] = tile[3] = 0.0F;
      }
    }
  }

  /// Position of a row; rows past the sequence's end are copies of its last.
  __device__ __forceinline__ int position(int m, int half) const {
    return min(first + m * 16 + half * 8 + lane / 4, last);
  }

  /// Whether any query sees any of the keys from `key` on.
  __device__ __forceinline__ bool sees(int key, int window) const {
    return first <= last && key <= min(first + S::kWarpQueries - 1, last) &&
           key + S::kKeys > first - window + 1;
  }

  /// scores = queries keys^T. `queries` and `keys` are tiles, the former this warp's own rows.
  __device__ __forceinline__ void score(uint32_t queries, uint32_t keys) {
#pragma unroll
    for (auto& row : scores) {
#pragma unroll
      for (auto& tile : row) {
        tile[0] = tile[1] = tile[2] = tile[3] = 0.0F;
      }
    }
    const uint32_t query_lane = queries + tile_offset<S>(lane % 16, lane / 16);
    const uint32_t key_lane = keys + tile_offset<S>(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int step = 0; step < kDimSteps; ++step) {
      // Chunks of a row are exchanged by XOR, and tiles begin at multiples of a row.
      const uint32_t query_step = query_lane ^ (step * 32);
      const uint32_t key_step = key_lane ^ (step * 32);
      Fragment a[S::kRowTiles];
#pragma unroll
      for (int m = 0; m < S::kRowTiles; ++m) {
        load_fragment(a[m], query_step + m * 16 * S::kRowBytes);
      }
#pragma unroll
      for (int n = 0; n < kKeySteps; ++n) {
        Fragment b;
        load_fragment(b, key_step + n * 16 * S::kRowBytes);
#pragma unroll
        for (int m = 0; m < S::kRowTiles; ++m) {
          multiply_add(scores[m][2 * n], a[m], b[0], b[1]);
          multiply_add(scores[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  /// Takes out the keys that a query does not see, where there are any.
  __device__ __forceinline__ void mask(int key, int window) {
    const int end = min(first + S::kWarpQueries - 1, last);
    if (key + S::kKeys - 1 <= first && key > end - window) {
      return;
    }
#pragma unroll
    for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int newest = position(m, half) - key - lane % 4 * 2;
        const int too_old = newest - window;
#pragma unroll
        for (int n = 0; n < 2 * kKeySteps; ++n) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            if (n * 8 + e > newest || n * 8 + e <= too_old) {
              scores[m][n][2 * half + e] = -INFINITY;
            }
          }
        }
      }
    }
  }

  /// scores become their soft cap.
  __device__ __forceinline__ void cap(float most, float scale_over_most) {
#pragma unroll
    for (auto& row : scores) {
#pragma unroll
      for (auto& tile : row) {
#pragma unroll
        for (float& value : tile) {
          value = most * tanh_fast(value * scale_over_most);
        }
      }
    }
  }

  /// scores become weights, and what was summed before is brought to the same reference.
  __device__ __forceinline__ void soften(float scale) {
    const float slack = __fdividef(kSlack, scale);
    float factor[S::kRowTiles][2];
    bool rescale = false;
#pragma unroll
    for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float most = -INFINITY;
#pragma unroll
        for (const auto& tile : scores[m]) {
          most = fmaxf(most, fmaxf(tile[2 * half], tile[2 * half + 1]));
        }
        most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
        most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
        float& held = reference[m][half];
        factor[m][half] = 1.0F;
        if (most > held + slack) {
          factor[m][half] = exp2_fast((held - most) * scale);
          held = most;
          rescale = true;
        }
        float added = 0.0F;
#pragma unroll
        for (auto& tile : scores[m]) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float& value = tile[2 * half + e];
            // The difference first: products of large scores would round their difference away.
            value = exp2_fast((value - held) * scale);
            added += value;
          }
        }
        sum[m][half] = sum[m][half] * factor[m][half] + added;
      }
    }
    if (__any_sync(kAllLanes, rescale)) {
#pragma unroll
      for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
        for (auto& tile : output[m]) {
          tile[0] *= factor[m][0];
          tile[1] *= factor[m][0];
          tile[2] *= factor[m][1];
          tile[3] *= factor[m][1];
        }
      }
    }
  }

  /// output += weights values, the weights rounded to BF16.
  __device__ __forceinline__ void accumulate(uint32_t values) {
    const uint32_t value_lane = values + tile_offset<S>(lane % 16, lane / 16);
#pragma unroll
    for (int step = 0; step < kKeySteps; ++step) {
      // Two accumulators side by side are laid out as one operand is.
      Fragment a[S::kRowTiles];
#pragma unroll
      for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float(&tile)[4] = scores[m][2 * step + i / 2];
          a[m][i] = pack_bf16(tile[i % 2 * 2], tile[i % 2 * 2 + 1]);
        }
      }
#pragma unroll
      for (int n = 0; n < kDimSteps; ++n) {
        Fragment b;
        load_fragment_transposed(b, (value_lane ^ (n * 32)) + step * 16 * S::kRowBytes);
#pragma unroll
        for (int m = 0; m < S::kRowTiles; ++m) {
          multiply_add(output[m][2 * n], a[m], b[0], b[1]);
          multiply_add(output[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  /// Brings one more score into the sums, and into nothing else: behind the last keys. A sink so
  /// large that its weight overflows leaves the rows at 0.
  __device__ __forceinline__ void add_sink(float sink, float scale) {
    if (lane % 4 != 0) {
      return;  // a row's sum is spread over four lanes
    }
#pragma unroll
    for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sum[m][half] += exp2_fast((sink - reference[m][half]) * scale);
      }
    }
  }

  /// Divides by the sums and writes the rows that exist, by way of `tile`, this warp's own rows.
  __device__ __forceinline__ void finish(char* tile, __nv_bfloat16* head, int64_t stride,
                                         int head_dim) {
#pragma unroll
    for (int m = 0; m < S::kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float total = sum[m][half];
        total += __shfl_xor_sync(kAllLanes, total, 1);
        total += __shfl_xor_sync(kAllLanes, total, 2);
        const float inverse = __frcp_rn(total);
#pragma unroll
        for (int n = 0; n < 2 * kDimSteps; ++n) {
          const float(&values)[4] = output[m][n];
          *reinterpret_cast<uint32_t*>(tile + tile_offset<S>(m * 16 + half * 8 + lane / 4, n) +
                                       lane % 4 * 4) =
              pack_bf16(values[2 * half] * inverse, values[2 * half + 1] * inverse);
        }
      }
    }
    __syncwarp();
    const int chunk = lane % S::kChunks;
    for (int row = lane / S::kChunks; row < S::kWarpQueries; row += kWarpSize / S::kChunks) {
      if (first + row <= last && chunk * 8 < head_dim) {
        *reinterpret_cast<uint4*>(head + (first + row) * stride + chunk * 8) =
            *reinterpret_cast<const uint4*>(tile + tile_offset<S>(row, chunk));
      }
    }
  }
};

}  // namespace rotor::kernels
