#include <cmath>
#include <string>

#include "kernels/device/activation_scale.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/packed_tile.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/packed_weight.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

struct Source {
  int64_t rows;
  int64_t cols;
  int64_t group_size;
  const uint8_t* codes;
  const uint8_t* scales;
  DType scale_dtype;
};

/// Two neighbouring codes of a row, the first in the low half; zeros' outside the matrix.
template <bool kInt4>
__device__ uint32_t two_codes(const Source& from, int64_t row, int64_t col) {
  if (row >= from.rows || col >= from.cols) {
    return kInt4 ? 0x88U : 0U;
  }
  return from.codes[(row * from.cols + col) / 2];
}

/// One word of codes a thread.
template <bool kInt4>
__global__ void pack_codes_kernel(const __grid_constant__ Source from, int64_t chunks,
                                  int64_t words, uint32_t* packed) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= words) {
    return;
  }
  constexpr int kChunkWords = kChunkCodeBytes / 4;
  const int64_t chunk = index / kChunkWords;
  const int at = static_cast<int>(index % kChunkWords);
  const int step = at / 128 * 4 + at % 4;
  const int lane = at / 4 % 32;
  const int64_t row = chunk / chunks * kTileRowsPacked + lane / 4;
  const int64_t col = chunk % chunks * kChunkCols + step * kStepCols + lane % 4 * 2;
  uint32_t word = 0;
#pragma unroll
  for (int pair = 0; pair < 4; ++pair) {
    const uint32_t codes = two_codes<kInt4>(from, row + pair % 2 * 8, col + pair / 2 * 8);
    word |= place_pair<kInt4>(pair, codes & 15, codes >> 4);
  }
  packed[index] = word;
}

__device__ float stored_float(const Source& from, int64_t index) {
  switch (from.scale_dtype) {
    case DType::kBf16:
      return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(from.scales)[index]);
    case DType::kF16:
      return __half2float(reinterpret_cast<const __half*>(from.scales)[index]);
    default:
      return reinterpret_cast<const float*>(from.scales)[index];
  }
}

/// One scale a thread, of [tile][chunk][8 rows][scales of a row in a chunk][row, row + 8].
template <typename Out>
__global__ void pack_scales_kernel(const __grid_constant__ Source from, int64_t chunks,
                                   int steps_a_scale, int64_t count, Out* packed) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= count) {
    return;
  }
  const int across = kChunkSteps / steps_a_scale;
  const int64_t chunk = index / (kTileRowsPacked * across);
  const int at = static_cast<int>(index % (kTileRowsPacked * across));
  const int64_t row = chunk / chunks * kTileRowsPacked + at / (2 * across) + at % 2 * 8;
  const int64_t col = chunk % chunks * kChunkCols + at / 2 % across * steps_a_scale * kStepCols;
  Out scale = 0;
  if (row < from.rows && col < from.cols) {
    const int64_t source = (row * from.cols + col) / from.group_size;
    if constexpr (sizeof(Out) == 1) {
      scale = from.scales[source];
    } else {
      scale = stored_float(from, source);
    }
  }
  packed[index] = scale;
}

/// One step of a chunk a warp, a word a lane.
template <Format kFormat, int kStepsAScale>
__global__ void __launch_bounds__(kBlockThreads)
    unpack_kernel(const uint8_t* codes, const uint8_t* scales, int64_t rows, int64_t cols,
                  int64_t chunks, int64_t words, InputScale global, __nv_bfloat16* out) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= words) {
    return;
  }
  using Scales = ChunkScales<kFormat, kStepsAScale>;
  const int64_t step_index = index / kWarpSize;
  const int lane = static_cast<int>(index % kWarpSize);
  const int64_t chunk = step_index / kChunkSteps;
  const int step = static_cast<int>(step_index % kChunkSteps);
  const auto* const chunk_codes =
      reinterpret_cast<const uint32_t*>(codes + chunk * kChunkCodeBytes);
  Fragment pairs;
  decode_fragment<kFormat == Format::kInt4>(chunk_codes[step / 4 * 128 + lane * 4 + step % 4],
                                            pairs);
  Scales stored;
  const auto* const chunk_scales =
      reinterpret_cast<const uint32_t*>(scales + (chunk * 8 + lane / 4) * Scales::kBytes);
#pragma unroll
  for (int i = 0; i < Scales::kWords; ++i) {
    stored.word[i] = chunk_scales[i];
  }
  const int64_t col = chunk % chunks * kChunkCols + step * kStepCols + lane % 4 * 2;
  if (col >= cols) {
    return;
  }
  ScalePair scale = stored.pair(0);
#pragma unroll
  for (int i = 1; i < Scales::kPairs; ++i) {
    scale = step / kStepsAScale == i ? stored.pair(i) : scale;
  }
#pragma unroll
  for (int pair = 0; pair < 4; ++pair) {
    const int64_t row = chunk / chunks * kTileRowsPacked + lane / 4 + pair % 2 * 8;
    if (row < rows) {
      const float bare = pair % 2 == 0 ? scale.upper : scale.lower;
      const float effective = global.kind == GlobalScale::kMultiplier
                                  ? __fmul_rn(bare, global.stored)
                                  : __fdiv_rn(bare, global.stored);
      const float values[2] = {__fmul_rn(__uint_as_float(pairs[pair] << 16), effective),
                               __fmul_rn(__uint_as_float(pairs[pair] & 0xFFFF0000U), effective)};
      store_values(out + row * cols + col + pair / 2 * 8, values);
    }
  }
}

using Unpack = void (*)(const uint8_t*, const uint8_t*, int64_t, int64_t, int64_t, int64_t,
                        InputScale, __nv_bfloat16*);

Unpack unpack_of(Format format, int steps_a_scale) {
  if (format == Format::kNvfp4) {
    return &unpack_kernel<Format::kNvfp4, 1>;
  }
  if (format == Format::kMxfp4) {
    return &unpack_kernel<Format::kMxfp4, 2>;
  }
  switch (steps_a_scale) {
    case 1:
      return &unpack_kernel<Format::kInt4, 1>;
    case 2:
      return &unpack_kernel<Format::kInt4, 2>;
    case 4:
      return &unpack_kernel<Format::kInt4, 4>;
    default:
      return &unpack_kernel<Format::kInt4, 8>;
  }
}

}  // namespace

Result<int64_t> packed_weight_bytes(const QuantScheme& scheme, int64_t rows, int64_t cols) {
  ROTOR_RETURN_IF_ERROR(check_groups(scheme.format, scheme.group_size, cols));
  ROTOR_RETURN_IF_ERROR(element_count(rows, cols).status());
  if (scheme.format == Format::kInt4) {
    ROTOR_RETURN_IF_ERROR(check_weight_dtype("scales", scheme.scale_dtype));
  }
  return PackedLayout(scheme, rows, cols).bytes();
}

Result<PackedWeight> pack_weight(const QuantScheme& scheme, int64_t rows, int64_t cols,
                                 const uint8_t* codes, const uint8_t* scales, float global_scale,
                                 void* packed, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(packed_weight_bytes(scheme, rows, cols).status());
  if (!(std::isfinite(global_scale) && global_scale > 0)) {
    return invalid_argument("global_scale " + std::to_string(global_scale) +
                            ": it is finite and positive")
        .with_reason("BAD_SCALE");
  }
  const PackedWeight weight{scheme, rows, cols, global_scale, packed};
  const PackedLayout layout(scheme, rows, cols);
  if (layout.bytes() == 0) {
    return weight;
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("codes", codes, 1));
  ROTOR_RETURN_IF_ERROR(check_pointer("scales", scales, 1));
  ROTOR_RETURN_IF_ERROR(check_pointer("packed", packed));
  const Source from{rows, cols, scheme.group_size, codes, scales, scheme.scale_dtype};
  const bool int4 = scheme.format == Format::kInt4;
  const int64_t words = layout.code_bytes() / 4;
  ROTOR_RETURN_IF_ERROR(
      launch("pack_weight", int4 ? &pack_codes_kernel<true> : &pack_codes_kernel<false>, words,
             kBlockThreads, stream, from, layout.chunks, words, static_cast<uint32_t*>(packed)));
  const int64_t count = layout.tiles * layout.chunks * layout.chunk_scales();
  auto* const behind = static_cast<uint8_t*>(packed) + layout.code_bytes();
  ROTOR_RETURN_IF_ERROR(
      int4 ? launch("pack_weight", &pack_scales_kernel<float>, count, kBlockThreads, stream, from,
                    layout.chunks, layout.steps_a_scale, count, reinterpret_cast<float*>(behind))
           : launch("pack_weight", &pack_scales_kernel<uint8_t>, count, kBlockThreads, stream, from,
                    layout.chunks, layout.steps_a_scale, count, behind));
  return weight;
}

Status unpack_weight(const PackedWeight& weight, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(packed_weight_bytes(weight.scheme, weight.rows, weight.cols).status());
  const PackedLayout layout(weight.scheme, weight.rows, weight.cols);
  if (layout.bytes() == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("weight.data", weight.data));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  const auto* const codes = static_cast<const uint8_t*>(weight.data);
  const int64_t words = layout.code_bytes() / 4;
  return launch("unpack_weight", unpack_of(weight.scheme.format, layout.steps_a_scale), words,
                kBlockThreads, stream, codes, codes + layout.code_bytes(), weight.rows, weight.cols,
                layout.chunks, words, make_input_scale(weight.scheme.global, weight.global_scale),
                static_cast<__nv_bfloat16*>(out));
}

}  // namespace rotor::kernels
