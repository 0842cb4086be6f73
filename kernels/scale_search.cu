#include <cuda_fp16.h>

#include <algorithm>
#include <cfloat>

#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/scale_search.h"
#include "kernels/supported.h"
#include "quant/format/e4m3.h"
#include "quant/scales/candidates.h"

namespace rotor::kernels {
namespace {

/// What all groups share; ScaleCandidates has the meaning of its values.
struct Search {
  Format format;
  DType scale_dtype;
  int lanes;  // that share a group
  int64_t groups;
  int64_t groups_per_row;
  float global_scale;
  double unit_up;
  double unit_down;
  bool thirds;
  bool mse;
  int candidates;
  int steps_up;             // of the first candidate above absmax's byte
  ScaleCandidate smallest;  // for a group of zeros
  float by_byte[256];
};

struct Candidate {
  uint32_t stored;
  float effective;
};

__device__ int absmax_byte(const Search& search, float absmax) {
  const auto unit =
      static_cast<float>(static_cast<double>(absmax) * search.unit_up / search.unit_down);
  if (search.format == Format::kNvfp4) {
    return __nv_cvt_float_to_fp8(unit, __NV_SATFINITE, __NV_E4M3);
  }
  // The smallest exponent that is not below: one more unless the mantissa is empty. Below 2^-127
  // lies byte 0, and the subnormals above it belong to byte 1.
  const uint32_t bits = __float_as_uint(unit);
  if (bits <= 0x400000U) {
    return 0;
  }
  return min(static_cast<int>((bits + 0x7FFFFFU) >> 23), int{kE8m0MaxByte});
}

__device__ Candidate byte_candidate(const Search& search, const float* by_byte, int byte) {
  const int largest = search.format == Format::kNvfp4 ? int{kE4m3MaxByte} : int{kE8m0MaxByte};
  const int clamped = min(max(byte, 1), largest);
  return {static_cast<uint32_t>(clamped), by_byte[clamped]};
}

__device__ Candidate rounded_candidate(const Search& search, float scale) {
  const float unit = __fmul_rn(scale, search.global_scale);
  uint32_t stored = 0;
  float value = 0.0F;
  if (search.scale_dtype == DType::kBf16) {
    stored = min(max(uint32_t{__bfloat16_as_ushort(__float2bfloat16_rn(unit))}, 0x0080U), 0x7F7FU);
    value = __uint_as_float(stored << 16);
  } else if (search.scale_dtype == DType::kF16) {
    stored = min(max(uint32_t{__half_as_ushort(__float2half_rn(unit))}, 1U), 0x7BFFU);
    value = __half2float(__ushort_as_half(static_cast<unsigned short>(stored)));
  } else {
    value = fminf(fmaxf(unit, FLT_MIN), FLT_MAX);
    stored = __float_as_uint(value);
  }
  return {stored, __fdiv_rn(value, search.global_scale)};
}

__device__ Candidate absmax_candidate(const Search& search, const float* by_byte, float absmax) {
  switch (search.format) {
    case Format::kNvfp4:
      break;
    case Format::kMxfp4:
      return byte_candidate(
          search, by_byte,
          search.thirds ? device_e8m0_floor(absmax) : device_e8m0_activation_byte(absmax));
    case Format::kInt4:
      return rounded_candidate(search, __fdiv_rn(absmax, kInt4Range));
  }
  return byte_candidate(search, by_byte, absmax_byte(search, absmax));
}

__device__ Candidate candidate(const Search& search, const float* by_byte, float absmax, int first,
                               int index) {
  if (search.format != Format::kInt4) {
    return byte_candidate(search, by_byte, first - index);
  }
  const float share = static_cast<float>(ScaleCandidates::kInt4First - index) / 32.0F;
  return rounded_candidate(search, __fmul_rn(__fdiv_rn(absmax, kInt4Range), share));
}

template <typename F>
__device__ __forceinline__ float reduce(float value, int lanes, F&& combine) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

__device__ void store(const Search& search, int64_t group, const Candidate& chosen, uint8_t* stored,
                      float* effective) {
  if (search.scale_dtype == DType::kF32) {
    reinterpret_cast<uint32_t*>(stored)[group] = chosen.stored;
  } else if (search.format == Format::kInt4) {
    reinterpret_cast<uint16_t*>(stored)[group] = static_cast<uint16_t>(chosen.stored);
  } else {
    stored[group] = static_cast<uint8_t>(chosen.stored);
  }
  effective[group] = chosen.effective;
}

template <typename Rounding, int kValues>
__global__ void __launch_bounds__(kBlockThreads)
    search_scales_kernel(const __grid_constant__ Search search, const float* w,
                         const float* column_costs, uint8_t* stored, float* effective) {
  __shared__ float by_byte[256];
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += kBlockThreads) {
    by_byte[i] = search.by_byte[i];
  }
  __syncthreads();
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  // Lanes past the end repeat the last group, so that whole warps take part in shuffles.
  const int64_t group = min(thread / search.lanes, search.groups - 1);
  const int lane = static_cast<int>(thread % search.lanes);
  const int64_t at = (group * search.lanes + lane) * kValues;
  float x[kValues];
  load_values(w + at, x);
  float largest = 0.0F;
#pragma unroll
  for (float value : x) {
    largest = fmaxf(largest, fabsf(value));
  }
  largest = reduce(largest, search.lanes, [](float a, float b) { return fmaxf(a, b); });
  const bool empty = largest < FLT_MIN;
  const float absmax = empty ? 1.0F : largest;

  Candidate best = absmax_candidate(search, by_byte, absmax);
  if (search.mse) {
    const float normal = __frcp_rn(absmax);
    float cost[kValues];
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      x[i] *= normal;
      cost[i] = 1.0F;
    }
    if (column_costs != nullptr) {
      load_values(column_costs + (group % search.groups_per_row * search.lanes + lane) * kValues,
                  cost);
    }
    const int first =
        search.format == Format::kInt4 ? 0 : absmax_byte(search, absmax) + search.steps_up;
    float least = INFINITY;
    for (int index = 0; index < search.candidates; ++index) {
      const Candidate next = candidate(search, by_byte, absmax, first, index);
      const float inverse = __fdiv_rn(absmax, next.effective);
      const float unit = __fdiv_rn(next.effective, absmax);
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i < kValues; ++i) {
        const float error = x[i] - Rounding::round(x[i] * inverse) * unit;
        sum = fmaf(cost[i] * error, error, sum);
      }
      sum = reduce(sum, search.lanes, [](float a, float b) { return a + b; });
      if (sum < least) {
        least = sum;
        best = next;
      }
    }
  }
  if (empty) {
    best = {search.smallest.stored, search.smallest.effective};
  }
  if (lane == 0 && thread / search.lanes < search.groups) {
    store(search, group, best, stored, effective);
  }
}

constexpr int kNarrow = 4;  // values a thread, one load of 16 bytes
constexpr int kWide = 8;    // where a warp alone is too few for a group

using Kernel = void(Search, const float*, const float*, uint8_t*, float*);

Kernel* kernel_of(Format format, bool wide) {
  if (format != Format::kInt4) {
    return &search_scales_kernel<DeviceE2m1, kNarrow>;
  }
  return wide ? &search_scales_kernel<DeviceInt4, kWide>
              : &search_scales_kernel<DeviceInt4, kNarrow>;
}

}  // namespace

Status search_scales(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                     float global_scale, ScaleSearch search, const float* column_costs,
                     uint8_t* stored, float* effective, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_groups(scheme.format, scheme.group_size, cols));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("w", w));
  ROTOR_RETURN_IF_ERROR(check_pointer("stored", stored));
  ROTOR_RETURN_IF_ERROR(check_pointer("effective", effective));
  const ScaleCandidates candidates(scheme, global_scale);
  const bool wide = scheme.group_size > kWarpSize * kNarrow;
  Search shared{};
  shared.format = scheme.format;
  shared.scale_dtype = scheme.scale_dtype;
  shared.lanes = static_cast<int>(scheme.group_size / (wide ? kWide : kNarrow));
  shared.groups = count / scheme.group_size;
  shared.groups_per_row = cols / scheme.group_size;
  shared.global_scale = global_scale;
  shared.unit_up = candidates.unit_up();
  shared.unit_down = candidates.unit_down();
  shared.thirds = scheme.global == GlobalScale::kThree;
  shared.mse = search == ScaleSearch::kMse;
  shared.candidates = candidates.count();
  shared.steps_up = ScaleCandidates::steps_up(scheme.format);
  shared.smallest = candidates.smallest();
  std::copy(candidates.by_byte().begin(), candidates.by_byte().end(), shared.by_byte);
  return launch("search_scales", kernel_of(scheme.format, wide), shared.groups * shared.lanes,
                kBlockThreads, stream, shared, w, column_costs, stored, effective);
}

}  // namespace rotor::kernels
