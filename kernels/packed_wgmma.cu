#include <cuda.h>

#include <algorithm>
#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/packed_tile.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/device/wgmma.cuh"
#include "kernels/packed_wgmma.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kConsumers = 8;  // warps, two warpgroups
constexpr int kWarpgroup = 4;
constexpr int kThreads = (kConsumers + kWarpgroup) * kWarpSize;  // the last warpgroup fetches
constexpr int kBlockRows = kConsumers * kTileRowsPacked;
constexpr int kStageCols = 64;
constexpr int kStageSteps = kStageCols / kStepCols;
constexpr int kOutPad = 8;  // BF16 behind a line of results, against conflicts of banks

template <int kTokens>
constexpr int kStageBytes = kTokens* kStageCols * 2;
template <int kTokens>
constexpr int kStages = kTokens == 256 ? 5 : 8;
template <int kTokens>
constexpr int kSharedBytes =
    kStages<kTokens>* kStageBytes<kTokens> + 1024 + 2 * 8 * kStages<kTokens>;

struct Job {
  const uint8_t* codes;
  const uint8_t* scales;
  int64_t rows;
  int64_t m;
  int64_t tiles;
  int chunks;
  int token_blocks;
  float factor;
  __nv_bfloat16* out;
};

/// Tiles of activations and the barriers around each: full when it has come, free when all
/// consumers are done with it.
template <int kTokens>
struct Pipeline {
  static constexpr int kCount = kStages<kTokens>;
  uint32_t tiles;
  uint32_t barriers;

  __device__ explicit Pipeline(uint32_t shared)
      : tiles((shared + 1023) / 1024 * 1024), barriers(tiles + kCount * kStageBytes<kTokens>) {}
  __device__ __forceinline__ uint32_t tile(int stage) const {
    return tiles + stage * kStageBytes<kTokens>;
  }
  __device__ __forceinline__ CopyBarrier full(int stage) const {
    return CopyBarrier(barriers + stage * 16);
  }
  __device__ __forceinline__ CopyBarrier free(int stage) const {
    return CopyBarrier(barriers + stage * 16 + 8);
  }
};

/// A lane's codes and scales of a chunk.
template <Format kFormat, int kStepsAScale>
struct ChunkOfLane {
  using Scales = ChunkScales<kFormat, kStepsAScale>;
  uint32_t codes[kChunkSteps];
  Scales scales;

  __device__ __forceinline__ void load(const uint8_t* code_bytes, const uint8_t* scale_bytes) {
    load_words(code_bytes, codes);
    load_words(code_bytes + kWarpSize * 16, codes + 4);
#pragma unroll
    for (int i = 0; i < Scales::kWords; i += 2) {
      const auto two = __ldg(reinterpret_cast<const uint2*>(scale_bytes) + i / 2);
      scales.word[i] = two.x;
      scales.word[i + 1] = two.y;
    }
  }

  /// Step `step` as the product takes it: code times group scale, rounded to BF16.
  __device__ __forceinline__ void decode(int step, Fragment& fragment) const {
    decode_fragment<kFormat == Format::kInt4>(codes[step], fragment);
    const ScalePair scale = scales.pair(step / kStepsAScale);
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const float factor = pair % 2 == 0 ? scale.upper : scale.lower;
      fragment[pair] = pack_bf16(__uint_as_float(fragment[pair] << 16) * factor,
                                 __uint_as_float(fragment[pair] & 0xFFFF0000U) * factor);
    }
  }

 private:
  static __device__ __forceinline__ void load_words(const uint8_t* from, uint32_t* words) {
    const uint4 four = __ldg(reinterpret_cast<const uint4*>(from));
    words[0] = four.x;
    words[1] = four.y;
    words[2] = four.z;
    words[3] = four.w;
  }
};

template <int kTokens>
__device__ __forceinline__ void produce(const Pipeline<kTokens>& pipeline, const CUtensorMap& map,
                                        int stages, int first_token) {
  for (int i = 0; i < stages; ++i) {
    const int stage = i % Pipeline<kTokens>::kCount;
    const int round = i / Pipeline<kTokens>::kCount;
    if (round > 0) {
      pipeline.free(stage).wait((round - 1) % 2);
    }
    pipeline.full(stage).arrive_expecting(kStageBytes<kTokens>);
    pipeline.full(stage).copy_tile(pipeline.tile(stage), map, i * kStageCols, first_token);
  }
}

/// The sums of this warp's 16 rows.
template <Format kFormat, int kStepsAScale, int kTokens>
__device__ __forceinline__ void consume(const Pipeline<kTokens>& pipeline, const Job& job,
                                        int64_t tile, int lane, float (&sums)[kTokens / 2]) {
  using Chunk = ChunkOfLane<kFormat, kStepsAScale>;
  constexpr int kCount = Pipeline<kTokens>::kCount;
  const uint8_t* codes = job.codes + tile * job.chunks * kChunkCodeBytes + lane * 16;
  const uint8_t* scales = job.scales + (tile * job.chunks * 8 + lane / 4) * Chunk::Scales::kBytes;
  const auto load = [&](Chunk& chunk, int index) {
    const int64_t at = min(index, job.chunks - 1);
    chunk.load(codes + at * kChunkCodeBytes, scales + at * (8 * Chunk::Scales::kBytes));
  };
  // Chunks on their way: as many as registers hold beside the sums.
  constexpr int kAhead = kTokens == 256 ? 1 : 3;
  Chunk next[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i) {
    load(next[i], i);
  }
  Fragment fragments[2][kStageSteps];
  int stage = 0;
  int parity = 0;
  int last = -1;  // stage whose products are under way
  for (int index = 0; index < job.chunks; ++index) {
    const Chunk chunk = next[0];
#pragma unroll
    for (int i = 0; i + 1 < kAhead; ++i) {
      next[i] = next[i + 1];
    }
    load(next[kAhead - 1], index + kAhead);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int step = 0; step < kStageSteps; ++step) {
        chunk.decode(half * kStageSteps + step, fragments[half][step]);
      }
      pipeline.full(stage).wait(parity);
      begin_products();
      const uint64_t descriptor = tile_descriptor(pipeline.tile(stage));
#pragma unroll
      for (int step = 0; step < kStageSteps; ++step) {
        multiply_tile(sums, fragments[half][step], descriptor + step * kStepOfDescriptor);
      }
      end_product_group();
      wait_for_products<1>();
      if (last >= 0 && lane == 0) {
        pipeline.free(last).arrive();
      }
      last = stage;
      stage = stage + 1 == kCount ? 0 : stage + 1;
      parity ^= stage == 0 ? 1 : 0;
    }
  }
  wait_for_products<0>();
}

/// All consumers of the block.
__device__ __forceinline__ void consumers_meet() {
  asm volatile("bar.sync 1, %0;" ::"n"(kConsumers * kWarpSize) : "memory");
}

/// Results go through shared memory, [token][row], so that rows are stored in whole lines.
template <int kTokens>
__device__ __forceinline__ void store(const Job& job, const float (&sums)[kTokens / 2],
                                      __nv_bfloat16* results, int64_t first_row, int first_token,
                                      int warp, int lane) {
  constexpr int kPitch = kBlockRows + kOutPad;
#pragma unroll
  for (int i = 0; i < kTokens / 2; ++i) {
    const int token = i / 4 * 8 + lane % 4 * 2 + i % 2;
    const int row = warp * kTileRowsPacked + lane / 4 + i / 2 % 2 * 8;
    results[token * kPitch + row] = __float2bfloat16_rn(sums[i] * job.factor);
  }
  consumers_meet();
  constexpr int kPieces = kBlockRows / 8;  // of 16 bytes in a line
  for (int i = static_cast<int>(threadIdx.x); i < kTokens * kPieces; i += kConsumers * kWarpSize) {
    const int64_t token = first_token + i / kPieces;
    const int64_t row = first_row + i % kPieces * 8;
    const __nv_bfloat16* from = results + i / kPieces * kPitch + i % kPieces * 8;
    if (token >= job.m || row >= job.rows) {
      continue;
    }
    __nv_bfloat16* to = job.out + token * job.rows + row;
    if (job.rows % 8 == 0) {
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
    } else {
      for (int j = 0; j < 8 && row + j < job.rows; ++j) {
        to[j] = from[j];
      }
    }
  }
}

template <Format kFormat, int kStepsAScale, int kTokens>
__global__ void __launch_bounds__(kThreads, 1)
    packed_wgmma_kernel(const __grid_constant__ CUtensorMap map, const __grid_constant__ Job job) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ char shared[];
  const Pipeline<kTokens> pipeline(shared_address(shared));
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_token = static_cast<int>(blockIdx.x) % job.token_blocks * kTokens;
  const int64_t first_tile = static_cast<int64_t>(blockIdx.x) / job.token_blocks * kConsumers;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Pipeline<kTokens>::kCount; ++stage) {
      pipeline.full(stage).create(1);
      pipeline.free(stage).create(kConsumers);
    }
    publish_barriers();
  }
  __syncthreads();
  if (warp >= kConsumers) {
    give_registers<24>();
    if (warp == kConsumers && lane == 0) {
      produce(pipeline, map, 2 * job.chunks, first_token);
    }
  } else {
    take_registers<240>();
    float sums[kTokens / 2] = {};
    consume<kFormat, kStepsAScale, kTokens>(pipeline, job, min(first_tile + warp, job.tiles - 1),
                                            lane, sums);
    consumers_meet();
    auto* const results =
        reinterpret_cast<__nv_bfloat16*>(shared + (pipeline.tiles - shared_address(shared)));
    store<kTokens>(job, sums, results, first_tile * kTileRowsPacked, first_token, warp, lane);
  }
#endif
}

/// The driver's function that describes a matrix to the copy engine; it is not linked, so that the
/// library loads where there is no driver.
Status encode(CUtensorMap* map, const void* x, int64_t m, int64_t cols, int tokens) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDriverEntryPointByVersion(
      "cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found)));
  if (found != cudaDriverEntryPointSuccess) {
    return failed_precondition("the driver has no cuTensorMapEncodeTiled: install one for CUDA 12")
        .with_reason("CUDA_UNSUPPORTED_DEVICE");
  }
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(cols), static_cast<cuuint64_t>(m)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(cols) * 2};
  const cuuint32_t box[2] = {kStageCols, static_cast<cuuint32_t>(tokens)};
  const cuuint32_t element_strides[2] = {1, 1};
  const auto call = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the driver's type; it is read alone
  auto* const address = const_cast<void*>(x);
  const CUresult result =
      call(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, address, sizes, strides, box, element_strides,
           CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
           CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    return internal_error("cuTensorMapEncodeTiled of [" + std::to_string(m) + ", " +
                          std::to_string(cols) + "]: error " + std::to_string(result))
        .with_reason("CUDA_ERROR");
  }
  return {};
}

template <Format kFormat, int kStepsAScale, int kTokens>
Status launch_as(const void* x, int64_t cols, Job job, cudaStream_t stream) {
  CUtensorMap map{};
  ROTOR_RETURN_IF_ERROR(encode(&map, x, job.m, cols, kTokens));
  job.token_blocks = static_cast<int>((job.m + kTokens - 1) / kTokens);
  const Grid grid{.blocks = (job.tiles + kConsumers - 1) / kConsumers * job.token_blocks,
                  .threads = kThreads,
                  .shared_bytes = kSharedBytes<kTokens>};
  return launch_grid("packed_wgmma", &packed_wgmma_kernel<kFormat, kStepsAScale, kTokens>, grid,
                     stream, map, job);
}

template <Format kFormat, int kStepsAScale>
Status launch_tokens(const void* x, int64_t cols, const Job& job, int tokens, cudaStream_t stream) {
  switch (tokens) {
    case 64:
      return launch_as<kFormat, kStepsAScale, 64>(x, cols, job, stream);
    case 128:
      return launch_as<kFormat, kStepsAScale, 128>(x, cols, job, stream);
    default:
      return launch_as<kFormat, kStepsAScale, 256>(x, cols, job, stream);
  }
}

Status launch_format(const QuantScheme& scheme, int steps_a_scale, const void* x, int64_t cols,
                     const Job& job, int tokens, cudaStream_t stream) {
  if (scheme.format == Format::kNvfp4) {
    return launch_tokens<Format::kNvfp4, 1>(x, cols, job, tokens, stream);
  }
  if (scheme.format == Format::kMxfp4) {
    return launch_tokens<Format::kMxfp4, 2>(x, cols, job, tokens, stream);
  }
  switch (steps_a_scale) {
    case 1:
      return launch_tokens<Format::kInt4, 1>(x, cols, job, tokens, stream);
    case 2:
      return launch_tokens<Format::kInt4, 2>(x, cols, job, tokens, stream);
    case 4:
      return launch_tokens<Format::kInt4, 4>(x, cols, job, tokens, stream);
    default:
      return launch_tokens<Format::kInt4, 8>(x, cols, job, tokens, stream);
  }
}

int choose_tokens(int64_t m) {
  return m <= 64 ? 64 : m <= 128 ? 128 : 256;
}

}  // namespace

Result<bool> has_packed_wgmma() {
  int device = 0;
  int major = 0;
  int minor = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device)));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device)));
  return major == 9 && minor == 0;
}

Status packed_wgmma(const void* x, int64_t m, const PackedWeight& weight, void* out,
                    cudaStream_t stream, int tokens) {
  ROTOR_RETURN_IF_ERROR(packed_weight_bytes(weight.scheme, weight.rows, weight.cols).status());
  ROTOR_RETURN_IF_ERROR(element_count(m, std::max(weight.rows, weight.cols)).status());
  if (m == 0 || weight.rows == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  ROTOR_RETURN_IF_ERROR(check_pointer("weight.data", weight.data));
  ROTOR_ASSIGN_OR_RETURN(const bool can, has_packed_wgmma());
  if (!can) {
    return unimplemented("packed_wgmma: it is for devices of compute capability 9.0")
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  const PackedLayout layout(weight.scheme, weight.rows, weight.cols);
  const auto* const codes = static_cast<const uint8_t*>(weight.data);
  const Job job{codes,
                codes + layout.code_bytes(),
                weight.rows,
                m,
                layout.tiles,
                static_cast<int>(layout.chunks),
                0,
                weight.scheme.global == GlobalScale::kMultiplier ? weight.global_scale
                                                                 : 1.0F / weight.global_scale,
                static_cast<__nv_bfloat16*>(out)};
  return launch_format(weight.scheme, layout.steps_a_scale, x, weight.cols, job,
                       tokens == 0 ? choose_tokens(m) : tokens, stream);
}

}  // namespace rotor::kernels
