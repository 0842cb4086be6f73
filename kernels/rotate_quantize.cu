#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "kernels/device/activation_scale_search.cuh"
#include "kernels/device/e2m1_pack.cuh"
#include "kernels/device/lane_run_stream.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/device/scale_place.cuh"
#include "kernels/rotate_quantize.h"
#include "kernels/supported.h"
#include "quant/scales/candidates.h"

namespace rotor::kernels {
namespace {

constexpr int kStages = 3;
constexpr int kWarps = kBlockThreads / kWarpSize;
using Stream = LaneRunStream<kStages>;

/// What all groups share.
struct Job {
  int64_t count;  // values
  float norm;
  float global_scale;
  const float* amax;
  GlobalScale kind;
  ScaleSearchRange search;
  ScalePlace place;
};

/// The global scale of a tensor of largest magnitude amax: global_scale_for.
__device__ float dynamic_global_scale(GlobalScale kind, float amax) {
  constexpr float kSmallestAmax = 0x1p-100F;
  if (amax == 0.0F) {
    return 1.0F;
  }
  const float held = fmaxf(amax, kSmallestAmax);
  constexpr float kRange = kE4m3Max * kE2m1Max;
  return kind == GlobalScale::kMultiplier ? __fdiv_rn(held, kRange) : __fdiv_rn(kRange, held);
}

/// The larger magnitude; NaN if one is.
__device__ __forceinline__ float larger_magnitude(float a, float b) {
  float result = 0.0F;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(fabsf(a)), "f"(fabsf(b)));
  return result;
}

__device__ __forceinline__ float slot_absmax(const float (&slot)[kSlot]) {
  float largest = fabsf(slot[0]);
#pragma unroll
  for (int i = 1; i < kSlot; ++i) {
    largest = larger_magnitude(largest, slot[i]);
  }
  return largest;
}

/// Codes of a slot by the definition, one by one.
__device__ __noinline__ uint2 plain_codes(const float* slot, float effective) {
  uint2 codes{0, 0};
  for (int i = 0; i < kSlot; ++i) {
    const float quotient = __fdiv_rn(slot[i], effective);
    const uint32_t code = effective == 0.0F ? 0 : device_e2m1_code(device_e2m1_round(quotient));
    (i < 8 ? codes.x : codes.y) |= code << (4 * (i % 8));
  }
  return codes;
}

/// Whether quotients by the scale and their remainders are exact as divide() needs them.
template <Format kFormat>
__device__ __forceinline__ bool is_ordinary(float effective, const InputScale& input) {
  return kFormat == Format::kNvfp4 ? input.ordinary : effective >= 0x1p-90F && effective <= 0x1p90F;
}

/// Codes of a slot at the scale of its group, `absmax` the largest magnitude of the group.
template <Format kFormat>
__device__ __forceinline__ uint2 slot_codes(float (&slot)[kSlot], float absmax, float effective,
                                            const InputScale& input) {
  if (!(absmax < INFINITY)) {
    return {0, 0};
  }
  const bool is_power = kFormat == Format::kMxfp4 && input.kind != GlobalScale::kThree;
  if (!is_ordinary<kFormat>(effective, input) ||
      !(absmax < effective * kPackLimit || effective == 0.0F)) {
    float values[kSlot];  // so that the registers of the common way need no address
#pragma unroll
    for (int i = 0; i < kSlot; ++i) {
      values[i] = slot[i];
    }
    return plain_codes(values, effective);
  }
  const float divisor = effective * (1.0F / kPackUnit);
  const float reciprocal = effective == 0.0F ? 0.0F : reciprocal_of(divisor);
  float quotients[kSlot];
#pragma unroll
  for (int i = 0; i < kSlot; ++i) {
    quotients[i] = is_power ? __fmul_rn(slot[i], reciprocal) : divide(slot[i], divisor, reciprocal);
  }
  return {e2m1_pack(quotients), e2m1_pack(quotients + 8)};
}

/// A slot or, where a group is two slots, those of one lane or of neighbours.
template <Format kFormat, bool kMse, int kBlock>
class Groups {
 public:
  static constexpr bool kInLane = kFormat == Format::kMxfp4 && kLanesOfBlock<kBlock> == 1;
  static constexpr bool kInPair = kFormat == Format::kMxfp4 && kLanesOfBlock<kBlock> > 1;
  static constexpr uint32_t kNanByte = kFormat == Format::kNvfp4 ? 0x7F : 0xFF;

  __device__ __forceinline__ void find_scales(const LaneRun& x, const InputScale& input,
                                              const ScaleSearchRange& range) {
    absmax[0] = slot_absmax(x[0]);
    absmax[1] = slot_absmax(x[1]);
    if constexpr (kInLane) {
      absmax[0] = absmax[1] = larger_magnitude(absmax[0], absmax[1]);
    } else if constexpr (kInPair) {
      absmax[0] = larger_magnitude(absmax[0], __shfl_xor_sync(kAllLanes, absmax[0], 1));
      absmax[1] = larger_magnitude(absmax[1], __shfl_xor_sync(kAllLanes, absmax[1], 1));
    }
#pragma unroll
    for (int slot = 0; slot < 2; ++slot) {
      if (kInLane && slot == 1) {
        scale[1] = scale[0];
        break;
      }
      scale[slot] = scale_of(x, slot, input, range);
      if (!(absmax[slot] < INFINITY)) {
        scale[slot] = {kNanByte, 0.0F};
      }
    }
  }

  float absmax[2];
  GroupScale scale[2];

 private:
  __device__ __forceinline__ GroupScale scale_of(const LaneRun& x, int slot,
                                                 const InputScale& input,
                                                 const ScaleSearchRange& range) const {
    if constexpr (!kMse) {
      return activation_scale<kFormat>(absmax[slot], input);
    } else {
      return search_scale<kFormat>(absmax[slot], input, range, [&](auto&& f) {
        float sum = 0.0F;
#pragma unroll
        for (int i = 0; i < kSlot; ++i) {
          sum += f(x[slot][i]);
        }
        if constexpr (kInLane) {
#pragma unroll
          for (const float value : x[1]) {
            sum += f(value);
          }
        } else if constexpr (kInPair) {
          sum += __shfl_xor_sync(kAllLanes, sum, 1);
        }
        return sum;
      });
    }
  }
};

template <Format kFormat, bool kMse, int kBlock, bool kTiles>
__global__ void __launch_bounds__(kBlockThreads, kMse ? 1 : 3)
    rotate_quantize_kernel(const __nv_bfloat16* x, const __grid_constant__ Job job, uint8_t* codes,
                           uint8_t* scales) {
  extern __shared__ char shared[];
  using GroupsOf = Groups<kFormat, kMse, kBlock>;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarps;
  int64_t run = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  Stream stream(x, job.count, run, step, shared_address(shared) + warp * Stream::kWarpBytes, lane);
  const InputScale input = make_input_scale(
      job.kind, job.amax == nullptr ? job.global_scale : dynamic_global_scale(job.kind, *job.amax));
  const LaneHadamard<kBlock> hadamard(lane);
  const int sources[2] = {source_of<kBlock>(lane, 0), source_of<kBlock>(lane, 1)};
  for (; run * kRun < job.count; run += step) {
    LaneRun values;
    stream.take(values, sources);
    hadamard.transform(values, job.norm);
    GroupsOf groups;
    groups.find_scales(values, input, job.search);
    uint2 packed[2];
    int64_t at[2];  // of the slot's first value
#pragma unroll
    for (int slot = 0; slot < 2; ++slot) {
      packed[slot] = slot_codes<kFormat>(values[slot], groups.absmax[slot],
                                         groups.scale[slot].effective, input);
      at[slot] = run * kRun + group_of<kBlock>(lane, slot) * kSlot;
    }
    if (kLanesOfBlock<kBlock> == 1 && at[1] < job.count) {
      *reinterpret_cast<uint4*>(codes + at[0] / 2) =
          uint4{packed[0].x, packed[0].y, packed[1].x, packed[1].y};
    } else {
#pragma unroll
      for (int slot = 0; slot < 2; ++slot) {
        if (at[slot] < job.count) {
          *reinterpret_cast<uint2*>(codes + at[slot] / 2) = packed[slot];
        }
      }
    }
    if constexpr (kFormat == Format::kNvfp4) {
      int64_t places[2];
      job.place.template of<kTiles>(at[0] / kSlot, kLanesOfBlock<kBlock>, places);
#pragma unroll
      for (int slot = 0; slot < 2; ++slot) {
        if (at[slot] < job.count) {
          scales[places[slot]] = static_cast<uint8_t>(groups.scale[slot].byte);
        }
      }
    } else {
      // A group is two slots: of this lane, or the same slot of a pair of lanes, which store one
      // scale each.
      const int slot = GroupsOf::kInPair ? lane & 1 : 0;
      const int64_t begin = slot == 0 ? at[0] : at[1];
      const uint32_t byte = slot == 0 ? groups.scale[0].byte : groups.scale[1].byte;
      int64_t places[2];
      job.place.template of<kTiles>(begin / (2 * kSlot), 0, places);
      if (begin < job.count) {
        scales[places[0]] = static_cast<uint8_t>(byte);
      }
    }
  }
  if constexpr (kTiles) {
    job.place.clear_padding(scales);
  }
}

template <int kBlock>
__global__ void __launch_bounds__(kBlockThreads)
    rotated_max_abs_kernel(const __nv_bfloat16* x, int64_t count, float norm, float* amax) {
  extern __shared__ char shared[];
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarps;
  int64_t run = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  Stream stream(x, count, run, step, shared_address(shared) + warp * Stream::kWarpBytes, lane);
  const LaneHadamard<kBlock> hadamard(lane);
  const int sources[2] = {source_of<kBlock>(lane, 0), source_of<kBlock>(lane, 1)};
  float largest = 0.0F;
  for (; run * kRun < count; run += step) {
    LaneRun values;
    stream.take(values, sources);
    hadamard.transform(values, norm);
    largest = larger_magnitude(largest, slot_absmax(values[0]));
    largest = larger_magnitude(largest, slot_absmax(values[1]));
  }
  // Magnitudes order like their bits; a NaN becomes the infinity that it is told as.
  const uint32_t bits = largest < INFINITY ? __float_as_uint(largest) : kInfinityBits;
  const uint32_t most = __reduce_max_sync(kAllLanes, bits);
  if (lane == 0) {
    atomicMax(reinterpret_cast<unsigned*>(amax), most);
  }
}

/// Calls f with the block as a constant.
template <typename F>
Status with_block(int64_t block, F&& f) {
  switch (block) {
    case 1:
      return f(std::integral_constant<int, 1>());
    case 16:
      return f(std::integral_constant<int, 16>());
    case 32:
      return f(std::integral_constant<int, 32>());
    case 64:
      return f(std::integral_constant<int, 64>());
    case 128:
      return f(std::integral_constant<int, 128>());
    default:
      return f(std::integral_constant<int, 256>());
  }
}

template <Format kFormat, int kBlock>
auto* kernel_of(ScaleSearch search, ScaleOrder order) {
  const bool tiles = order == ScaleOrder::kTiles;
  if (search == ScaleSearch::kMse) {
    return tiles ? &rotate_quantize_kernel<kFormat, true, kBlock, true>
                 : &rotate_quantize_kernel<kFormat, true, kBlock, false>;
  }
  return tiles ? &rotate_quantize_kernel<kFormat, false, kBlock, true>
               : &rotate_quantize_kernel<kFormat, false, kBlock, false>;
}

/// As many blocks as run at a time, and no more than there is work for.
template <typename Kernel>
Result<Grid> resident_grid(Kernel* kernel, int64_t count, int64_t padding_words = 0) {
  Grid grid{.blocks = 0, .threads = kBlockThreads, .shared_bytes = kWarps * Stream::kWarpBytes};
  int device = 0;
  int processors = 0;
  int blocks = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaFuncSetAttribute(
      kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes))));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, kernel, grid.threads, static_cast<size_t>(grid.shared_bytes))));
  const int64_t runs = (count + kRun - 1) / kRun;
  const int64_t work =
      std::max((runs + kWarps - 1) / kWarps, (padding_words + kBlockThreads - 1) / kBlockThreads);
  grid.blocks = std::min<int64_t>(work, static_cast<int64_t>(processors) * std::max(blocks, 1));
  return grid;
}

Status check(const RotateQuantize& what) {
  const Format format = what.scheme.format;
  if (format == Format::kInt4) {
    return unimplemented("int4 activations: rotate_quantize writes nvfp4 and mxfp4")
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  ROTOR_RETURN_IF_ERROR(check_groups(format, what.scheme.group_size, what.cols));
  if (what.block != 1) {
    ROTOR_RETURN_IF_ERROR(check_rotation(what.block, what.cols));
  }
  const bool is_static = format == Format::kNvfp4 && what.amax == nullptr;
  if (is_static && !(std::isfinite(what.global_scale) && what.global_scale > 0)) {
    return invalid_argument("global_scale " + std::to_string(what.global_scale) +
                            ": nvfp4 scales by it, so it is finite and positive")
        .with_reason("BAD_SCALE");
  }
  return {};
}

float norm_of(int64_t block) {
  return 1.0F / std::sqrt(static_cast<float>(block));
}

}  // namespace

Status rotate_quantize(const void* x, const RotateQuantize& what, uint8_t* codes, uint8_t* scales,
                       cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(what));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(what.rows, what.cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("codes", codes));
  ROTOR_RETURN_IF_ERROR(check_pointer("scales", scales, 4));
  const bool nvfp4 = what.scheme.format == Format::kNvfp4;
  const ScaleCandidates candidates(what.scheme, 1.0F);
  const Job job{count,
                norm_of(what.block),
                nvfp4 ? what.global_scale : 1.0F,
                nvfp4 ? what.amax : nullptr,
                what.scheme.global,
                {candidates.count(), ScaleCandidates::steps_up(what.scheme.format)},
                ScalePlace(what.rows, what.cols / what.scheme.group_size)};
  const int64_t padding = what.order == ScaleOrder::kTiles ? job.place.padding_words() : 0;
  return with_block(what.block, [&](auto block) -> Status {
    auto* kernel = nvfp4 ? kernel_of<Format::kNvfp4, block()>(what.search, what.order)
                         : kernel_of<Format::kMxfp4, block()>(what.search, what.order);
    ROTOR_ASSIGN_OR_RETURN(const Grid grid, resident_grid(kernel, count, padding));
    return launch_grid("rotate_quantize", kernel, grid, stream,
                       static_cast<const __nv_bfloat16*>(x), job, codes, scales);
  });
}

Status rotated_max_abs(const void* x, int64_t rows, int64_t cols, int64_t block, float* amax,
                       cudaStream_t stream) {
  if (block != 1) {
    ROTOR_RETURN_IF_ERROR(check_rotation(block, cols));
  }
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count % 8 != 0) {
    return invalid_argument(std::to_string(cols) + " columns: they are a multiple of 8")
        .with_reason("BAD_SHAPE");
  }
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("amax", amax, 4));
  return with_block(block, [&](auto width) -> Status {
    auto* kernel = &rotated_max_abs_kernel<width()>;
    ROTOR_ASSIGN_OR_RETURN(const Grid grid, resident_grid(kernel, count));
    return launch_grid("rotated_max_abs", kernel, grid, stream,
                       static_cast<const __nv_bfloat16*>(x), count, norm_of(block), amax);
  });
}

}  // namespace rotor::kernels
