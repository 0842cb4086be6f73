#include <algorithm>
#include <string>
#include <type_traits>

#include "kernels/device/lane_ring.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/packed_tile.cuh"
#include "kernels/packed_gemv.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kStages = 3;

struct Job {
  const __nv_bfloat16* x;
  int64_t m;
  const uint8_t* codes;
  const uint8_t* scales;
  int64_t rows;
  int64_t cols;
  int64_t tiles;
  int64_t chunks;
  float factor;  // of the whole weight
  __nv_bfloat16* out;
  int splits;         // of the columns; 0: still to be chosen
  unsigned* arrived;  // for each block of tiles
  float* partial;     // [block of tiles][split][its sums]
};

/// Two neighbours.
__device__ __forceinline__ uint32_t load_pair(const __nv_bfloat16* from) {
  return __ldg(reinterpret_cast<const uint32_t*>(from));
}

/// The sums of one warp over its chunks: kTiles tiles of 16 weight rows by kTokens * 8 activations.
template <Format kFormat, int kStepsAScale, int kTiles, int kTokens>
class WarpSums {
 public:
  static constexpr bool kInt4 = kFormat == Format::kInt4;
  using Scales = ChunkScales<kFormat, kStepsAScale>;
  static constexpr int kScalePieces = (Scales::kBytes + 15) / 16;
  static constexpr int kTilePieces = 2 + kScalePieces;
  using Ring = LaneRing<kTilePieces * kTiles, kStages>;

  float sums[kTiles][kTokens][4] = {};

  __device__ WarpSums(const Job& job, int64_t first_tile, uint32_t shared, int lane)
      : cols_(static_cast<int>(job.cols)), ring_(shared, lane) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      // A tile past the end repeats the last one; its sums are not stored.
      const int64_t at = min(first_tile + tile, job.tiles - 1) * job.chunks;
      codes_[tile] = job.codes + at * kChunkCodeBytes + lane * 16;
      scales_[tile] = job.scales + (at * 8 + lane / 4) * Scales::kBytes;
    }
#pragma unroll
    for (int token = 0; token < kTokens; ++token) {
      const int64_t row = min(int64_t{token} * 8 + lane / 4, job.m - 1);  // as with tiles
      x_[token] = job.x + row * job.cols + lane % 4 * 2;
    }
  }

  /// Chunks `begin`, `begin + step`, ... before `end`.
  __device__ __forceinline__ void run(int begin, int end, int step) {
#pragma unroll
    for (int stage = 0; stage < kStages - 1; ++stage) {
      fetch(begin + stage * step, end, stage);
    }
    int stage = 0;
    for (int chunk = begin; chunk < end; chunk += step) {
      wait_for_groups<kStages - 2>();
      fetch(chunk + (kStages - 1) * step, end, stage == 0 ? kStages - 1 : stage - 1);
      if ((chunk + 1) * kChunkCols <= cols_) {
        add_chunk<true>(chunk, stage);
      } else {
        add_chunk<false>(chunk, stage);
      }
      stage = stage + 1 == kStages ? 0 : stage + 1;
    }
    wait_for_copies();
  }

 private:
  __device__ __forceinline__ void fetch(int chunk, int end, int stage) const {
    const bool real = chunk < end;
    const int64_t at = real ? chunk : 0;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const int piece = tile * kTilePieces;
      const uint8_t* codes = codes_[tile] + at * kChunkCodeBytes;
      ring_.copy(stage, piece, codes, real);
      ring_.copy(stage, piece + 1, codes + kWarpSize * 16, real);
      const uint8_t* scales = scales_[tile] + at * (8 * Scales::kBytes);
#pragma unroll
      for (int i = 0; i < kScalePieces; ++i) {
        if constexpr (Scales::kBytes == 8) {
          copy_async_8(ring_.address(stage, piece + 2), scales, real);
        } else {
          ring_.copy(stage, piece + 2 + i, scales + i * 16, real);
        }
      }
    }
    end_copy_group();
  }

  /// The chunk in slot `stage`; kWhole: no column of it is past the matrix.
  template <bool kWhole>
  __device__ __forceinline__ void add_chunk(int chunk, int stage) {
    uint32_t codes[kTiles][kChunkSteps];
    Scales scales[kTiles];
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const int piece = tile * kTilePieces;
      ring_.template read<4>(stage, piece, codes[tile]);
      ring_.template read<4>(stage, piece + 1, codes[tile] + 4);
#pragma unroll
      for (int i = 0; i < kScalePieces; ++i) {
        ring_.template read<(Scales::kWords < 4 ? Scales::kWords : 4)>(stage, piece + 2 + i,
                                                                       scales[tile].word + 4 * i);
      }
    }
    const int first_col = chunk * kChunkCols;
    const __nv_bfloat16* activations[kTokens];
#pragma unroll
    for (int token = 0; token < kTokens; ++token) {
      activations[token] = x_[token] + first_col;
    }
#pragma unroll
    for (int group = 0; group < Scales::kPairs; ++group) {
      float products[kTiles][kTokens][4] = {};
#pragma unroll
      for (int i = 0; i < kStepsAScale; ++i) {
        const int step = group * kStepsAScale + i;
        uint2 x[kTokens];
#pragma unroll
        for (int token = 0; token < kTokens; ++token) {
          const __nv_bfloat16* from = activations[token] + step * kStepCols;
          x[token] = kWhole || first_col + step * kStepCols < cols_
                         ? uint2{load_pair(from), load_pair(from + 8)}
                         : uint2{0, 0};
        }
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
          Fragment weight;
          decode_fragment<kInt4>(codes[tile][step], weight);
#pragma unroll
          for (int token = 0; token < kTokens; ++token) {
            multiply_add(products[tile][token], weight, x[token].x, x[token].y);
          }
        }
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const ScalePair scale = scales[tile].pair(group);
#pragma unroll
        for (int token = 0; token < kTokens; ++token) {
          float(&sum)[4] = sums[tile][token];
          const float(&product)[4] = products[tile][token];
          sum[0] = fmaf(product[0], scale.upper, sum[0]);
          sum[1] = fmaf(product[1], scale.upper, sum[1]);
          sum[2] = fmaf(product[2], scale.lower, sum[2]);
          sum[3] = fmaf(product[3], scale.lower, sum[3]);
        }
      }
    }
  }

  int cols_;
  Ring ring_;
  const uint8_t* codes_[kTiles];
  const uint8_t* scales_[kTiles];
  const __nv_bfloat16* x_[kTokens];
};

/// A block: its warps share the chunks of its tiles, and the last of the blocks that share tiles
/// adds their sums up.
template <Format kFormat, int kStepsAScale, int kTiles, int kTokens>
__global__ void __launch_bounds__(kThreads) packed_gemv_kernel(const __grid_constant__ Job job) {
  extern __shared__ __align__(16) char shared[];
  using Sums = WarpSums<kFormat, kStepsAScale, kTiles, kTokens>;
  constexpr int kRows = kTiles * kTileRowsPacked;
  constexpr int kValues = kRows * kTokens * 8;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int64_t place = blockIdx.x / job.splits;
  const int split = static_cast<int>(blockIdx.x) % job.splits;
  Sums sums(job, place * kTiles, shared_address(shared) + warp * Sums::Ring::kWarpBytes, lane);
  const auto begin = static_cast<int>(job.chunks * split / job.splits);
  const auto end = static_cast<int>(job.chunks * (split + 1) / job.splits);
  sums.run(begin + warp, end, kWarps);
  __syncthreads();

  // [warp][activation][weight row]
  auto* const all = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int token = 0; token < kTokens; ++token) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = tile * kTileRowsPacked + lane / 4 + i / 2 * 8;
        const int column = token * 8 + lane % 4 * 2 + i % 2;
        all[warp * kValues + column * kRows + row] = sums.sums[tile][token][i];
      }
    }
  }
  __syncthreads();
  const auto store = [&](int value, float sum) {
    const int64_t row = place * kRows + value % kRows;
    const int64_t token = value / kRows;
    if (row < job.rows && token < job.m) {
      job.out[token * job.rows + row] = __float2bfloat16_rn(sum * job.factor);
    }
  };
  const int values = min(static_cast<int>(job.m) * kRows, kValues);
  float* const partial = job.partial + (place * job.splits + split) * kValues;
  for (int value = static_cast<int>(threadIdx.x); value < values; value += kThreads) {
    float sum = 0.0F;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) {
      sum += all[i * kValues + value];
    }
    if (job.splits == 1) {
      store(value, sum);
    } else {
      __stcg(partial + value, sum);
    }
  }
  if (job.splits == 1) {
    return;
  }
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(job.arrived + place, 1U) == static_cast<unsigned>(job.splits) - 1;
  }
  __syncthreads();
  if (!last) {
    return;
  }
  __threadfence();
  for (int value = static_cast<int>(threadIdx.x); value < values; value += kThreads) {
    float sum = 0.0F;
    for (int i = 0; i < job.splits; ++i) {
      sum += __ldcg(job.partial + (place * job.splits + i) * kValues + value);
    }
    store(value, sum);
  }
  if (threadIdx.x == 0) {
    job.arrived[place] = 0;
  }
}

/// Splits that give every multiprocessor a block where the tiles alone do not: more never paid.
int choose_splits(int64_t places, int64_t chunks, int processors) {
  const int64_t wanted = processors / std::max<int64_t>(places, 1);
  const int64_t most = std::max<int64_t>(chunks / kWarps, 1);
  return static_cast<int>(std::clamp<int64_t>(std::min(wanted, most), 1, kMostGemvSplits));
}

/// Whether a block takes two tiles for up to 8 activations. It reads these once, so that two tiles
/// halve what it reads beside its codes; with a few that pays only where blocks stay plentiful.
bool choose_pairs(const Job& job, int processors) {
  return job.m > 4 || (job.m > 1 && job.tiles / 2 >= int64_t{2} * processors);
}

template <Format kFormat, int kStepsAScale, int kTiles, int kTokens>
Status launch_as(Job job, int processors, cudaStream_t stream) {
  using Sums = WarpSums<kFormat, kStepsAScale, kTiles, kTokens>;
  constexpr int kSumBytes = kWarps * kTiles * kTileRowsPacked * kTokens * 8 * 4;
  const int64_t places = (job.tiles + kTiles - 1) / kTiles;
  if (job.splits == 0) {
    job.splits = choose_splits(places, job.chunks, processors);
  }
  const Grid grid{.blocks = places * job.splits,
                  .threads = kThreads,
                  .shared_bytes = std::max(kWarps * Sums::Ring::kWarpBytes, kSumBytes)};
  return launch_grid("packed_gemv", &packed_gemv_kernel<kFormat, kStepsAScale, kTiles, kTokens>,
                     grid, stream, job);
}

template <Format kFormat, int kStepsAScale>
Status launch_tokens(const Job& job, int processors, cudaStream_t stream) {
  if (job.m <= 8) {
    return choose_pairs(job, processors)
               ? launch_as<kFormat, kStepsAScale, 2, 1>(job, processors, stream)
               : launch_as<kFormat, kStepsAScale, 1, 1>(job, processors, stream);
  }
  if (job.m <= 16) {
    return launch_as<kFormat, kStepsAScale, 2, 2>(job, processors, stream);
  }
  if (job.m <= 32) {
    return launch_as<kFormat, kStepsAScale, 1, 4>(job, processors, stream);
  }
  return launch_as<kFormat, kStepsAScale, 1, 8>(job, processors, stream);
}

Status launch_format(const QuantScheme& scheme, int steps_a_scale, const Job& job, int processors,
                     cudaStream_t stream) {
  if (scheme.format == Format::kNvfp4) {
    return launch_tokens<Format::kNvfp4, 1>(job, processors, stream);
  }
  if (scheme.format == Format::kMxfp4) {
    return launch_tokens<Format::kMxfp4, 2>(job, processors, stream);
  }
  switch (steps_a_scale) {
    case 1:
      return launch_tokens<Format::kInt4, 1>(job, processors, stream);
    case 2:
      return launch_tokens<Format::kInt4, 2>(job, processors, stream);
    case 4:
      return launch_tokens<Format::kInt4, 4>(job, processors, stream);
    default:
      return launch_tokens<Format::kInt4, 8>(job, processors, stream);
  }
}

float factor_of(const PackedWeight& weight) {
  return weight.scheme.global == GlobalScale::kMultiplier ? weight.global_scale
                                                          : 1.0F / weight.global_scale;
}

int64_t counter_bytes(int64_t rows) {
  return (rows / kTileRowsPacked + 1 + 3) / 4 * 16;
}

}  // namespace

int64_t packed_gemv_workspace(int64_t rows) {
  const int64_t values = (rows + 2 * kTileRowsPacked) * kMostGemvRows;
  return counter_bytes(rows) + values * kMostGemvSplits * int64_t{sizeof(float)};
}

Status packed_gemv(const void* x, int64_t m, const PackedWeight& weight, void* out, void* workspace,
                   cudaStream_t stream, int splits) {
  if (m < 0 || m > kMostGemvRows) {
    return invalid_argument("packed_gemv of " + std::to_string(m) + " activations: at most " +
                            std::to_string(kMostGemvRows))
        .with_reason("BAD_SHAPE");
  }
  ROTOR_RETURN_IF_ERROR(packed_weight_bytes(weight.scheme, weight.rows, weight.cols).status());
  constexpr int64_t kMostCols = int64_t{1} << 30;
  if (weight.cols > kMostCols) {
    return invalid_argument("packed_gemv of " + std::to_string(weight.cols) + " columns: at most " +
                            std::to_string(kMostCols))
        .with_reason("BAD_SHAPE");
  }
  if (splits < 0 || splits > kMostGemvSplits) {
    return invalid_argument("packed_gemv in " + std::to_string(splits) + " splits: at most " +
                            std::to_string(kMostGemvSplits))
        .with_reason("BAD_SHAPE");
  }
  if (m == 0 || weight.rows == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out, 2));
  ROTOR_RETURN_IF_ERROR(check_pointer("weight.data", weight.data));
  ROTOR_RETURN_IF_ERROR(check_pointer("workspace", workspace));
  int device = 0;
  int processors = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device)));
  const PackedLayout layout(weight.scheme, weight.rows, weight.cols);
  const auto* const data = static_cast<const uint8_t*>(weight.data);
  auto* const arrived = static_cast<unsigned*>(workspace);
  const Job job{
      static_cast<const __nv_bfloat16*>(x),
      m,
      data,
      data + layout.code_bytes(),
      weight.rows,
      weight.cols,
      layout.tiles,
      layout.chunks,
      factor_of(weight),
      static_cast<__nv_bfloat16*>(out),
      splits,
      arrived,
      reinterpret_cast<float*>(static_cast<char*>(workspace) + counter_bytes(weight.rows))};
  return launch_format(weight.scheme, layout.steps_a_scale, job, processors, stream);
}

}  // namespace rotor::kernels
