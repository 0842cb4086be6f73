#include <cmath>
#include <string>

#include "kernels/activation_quant.h"
#include "kernels/device/activation_scale.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

template <Format kFormat>
__device__ __forceinline__ float effective_of(float absmax, const InputScale& input) {
  if constexpr (kFormat == Format::kInt4) {
    return __fdiv_rn(absmax, kInt4Range);
  } else {
    return activation_scale<kFormat>(absmax, input).effective;
  }
}

/// Values of one group, `absmax_bits` the largest magnitude in the whole of it.
template <Format kFormat, int kWidth>
__device__ __forceinline__ void fake_quantize(float (&values)[kWidth], uint32_t absmax_bits,
                                              const InputScale& input) {
  const bool finite = absmax_bits < kInfinityBits;
  const float scale = finite ? effective_of<kFormat>(__uint_as_float(absmax_bits), input) : 0.0F;
  const float bare = finite ? 0.0F : __int_as_float(0x7FC00000);  // where no scale divides
#pragma unroll
  for (float& value : values) {
    if (scale == 0.0F) {
      value = bare;
    } else {
      const float quotient = __fdiv_rn(value, scale);
      const float rounded =
          kFormat == Format::kInt4 ? device_int4_round(quotient) : device_e2m1_round(quotient);
      value = __fmul_rn(rounded, scale);
    }
  }
}

template <Format kFormat, typename In, typename Out>
__global__ void __launch_bounds__(kBlockThreads)
    fake_quantize_kernel(const In* x, int64_t count, int group_size, InputScale input, Out* out) {
  using Tile = WarpTile<kTileWidth<In, Out>>;
  Tile tile;
  tile.load(x, count);
  // Magnitudes order like their bits, with infinity and NaN on top.
  uint32_t absmax[Tile::kVectors];
#pragma unroll
  for (int j = 0; j < Tile::kVectors; ++j) {
    absmax[j] = 0;
#pragma unroll
    for (const float value : tile.values[j]) {
      absmax[j] = max(absmax[j], __float_as_uint(value) & kMagnitudeBits);
    }
    for (int stride = kTileWidth<In, Out>; stride < min(group_size, Tile::kSpan); stride *= 2) {
      absmax[j] =
          max(absmax[j], __shfl_xor_sync(kAllLanes, absmax[j], stride / kTileWidth<In, Out>));
    }
  }
  if (group_size > Tile::kSpan) {  // a group of 256 as two vectors of 128
#pragma unroll
    for (int j = 0; j + 1 < Tile::kVectors; j += 2) {
      absmax[j] = absmax[j + 1] = max(absmax[j], absmax[j + 1]);
    }
  }
#pragma unroll
  for (int j = 0; j < Tile::kVectors; ++j) {
    fake_quantize<kFormat>(tile.values[j], absmax[j], input);
  }
  tile.store(out, count);
}

template <typename In, typename Out>
auto* kernel_of(Format format) {
  switch (format) {
    case Format::kNvfp4:
      return &fake_quantize_kernel<Format::kNvfp4, In, Out>;
    case Format::kMxfp4:
      return &fake_quantize_kernel<Format::kMxfp4, In, Out>;
    default:
      return &fake_quantize_kernel<Format::kInt4, In, Out>;
  }
}

Status check_global_scale(Format format, float input_global_scale) {
  if (format == Format::kNvfp4 && !(std::isfinite(input_global_scale) && input_global_scale > 0)) {
    return invalid_argument("input_global_scale " + std::to_string(input_global_scale) +
                            ": nvfp4 scales by it, so it is finite and positive")
        .with_reason("BAD_SCALE");
  }
  return {};
}

}  // namespace

Status fake_quantize_activations(const void* x, DType x_dtype, int64_t tokens, int64_t cols,
                                 const QuantScheme& scheme, float input_global_scale, void* out,
                                 DType out_dtype, cudaStream_t stream) {
  const Format format = scheme.format;
  ROTOR_RETURN_IF_ERROR(check_groups(format, scheme.group_size, cols));
  ROTOR_RETURN_IF_ERROR(check_global_scale(format, input_global_scale));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", x_dtype));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("out", out_dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  const InputScale input = make_input_scale(scheme.global, input_global_scale);
  return with_typed(x, x_dtype, [&]<typename In>(const In* source) {
    return with_typed(out, out_dtype, [&]<typename Out>(Out* destination) {
      return launch("fake_quantize_activations", kernel_of<In, Out>(format), count,
                    kBlockThreads / kWarpSize * kWarpRun, stream, source, count,
                    static_cast<int>(scheme.group_size), input, destination);
    });
  });
}

}  // namespace rotor::kernels
