// A run of 1024 neighbouring values in a warp, 32 a lane, and its block Hadamard transform with few
// exchanges between lanes.
//
// A lane holds two slots of 16 values, each slot 16 neighbours of the run. Strides below 16 stay in
// a slot, stride 16 lies between the slots of a lane. For a wider stride, lanes swap one slot each:
// afterwards the two values of every butterfly are in one lane, at half an exchange a value. The
// swap moves slots between lanes, so that in the end slot s of a lane is the 16 values number
// group_of<kBlock>(lane, s) of the run: never does a group of a format lie in more than two lanes.
//
// Sums are those of the CPU's transform (quant/rotation/walsh_hadamard.h) to the bit: rising
// strides, one rounding a butterfly; products with +-1 are exact.
#pragma once

#include "kernels/device/warp_tile.cuh"

namespace rotor::kernels {

inline constexpr int kSlot = 16;
inline constexpr int kLaneRun = 2 * kSlot;
inline constexpr int kRun = kWarpSize * kLaneRun;

using LaneRun = float[2][kSlot];

/// Lanes that exchange slots with each other.
template <int kBlock>
inline constexpr int kLanesOfBlock = kBlock > kLaneRun ? kBlock / kLaneRun : 1;

/// Which 16 values of the run slot `slot` of a lane holds before the transform.
template <int kBlock>
__device__ __forceinline__ int source_of(int lane, int slot) {
  return 2 * lane + (kLanesOfBlock<kBlock> > 1 ? slot ^ (lane & 1) : slot);
}

/// The same behind it.
template <int kBlock>
__device__ __forceinline__ int group_of(int lane, int slot) {
  constexpr int kLanes = kLanesOfBlock<kBlock>;
  return lane % kLanes + kLanes * slot + lane / kLanes * 2 * kLanes;
}

template <int kBlock>
class LaneHadamard {
 public:
  __device__ explicit LaneHadamard(int lane) {
#pragma unroll
    for (int bit = 0; bit < 3; ++bit) {
      sign_[bit] = (lane >> bit & 1) == 0 ? 1.0F : -1.0F;
    }
  }

  /// The transform of the blocks, each value times `norm`.
  __device__ __forceinline__ void transform(LaneRun& x, float norm) const {
    static_assert(kBlock == 16 || kBlock == 32 || kBlock == 64 || kBlock == 128 || kBlock == 256);
    within_slots<1>(x);
    if constexpr (kBlock >= 32) {
      between_slots(x);
    }
    float sum_norm = norm;
    float difference_norm = norm;
    if constexpr (kBlock >= 64) {
      exchange<0, kBlock >= 128>(x);
      difference_norm = norm * sign_[0];
    }
    if constexpr (kBlock >= 128) {
      sum_norm = is_odd(1) ? difference_norm : sum_norm;
      exchange<1, kBlock >= 256>(x);
      difference_norm = sum_norm * sign_[1];
    }
    if constexpr (kBlock >= 256) {
      sum_norm = is_odd(2) ? difference_norm : sum_norm;
      exchange<2, false>(x);
      difference_norm = sum_norm * sign_[2];
    }
#pragma unroll
    for (int i = 0; i < kSlot; ++i) {
      x[0][i] = __fmul_rn(x[0][i], sum_norm);
      x[1][i] = __fmul_rn(x[1][i], difference_norm);
    }
  }

 private:
  __device__ __forceinline__ bool is_odd(int bit) const {
    return sign_[bit] < 0.0F;
  }

  template <int kStride>
  static __device__ __forceinline__ void within_slots(LaneRun& x) {
    if constexpr (kStride < kSlot) {
#pragma unroll
      for (auto& slot : x) {
#pragma unroll
        for (int i = 0; i < kSlot; ++i) {
          if ((i & kStride) == 0) {
            const float a = slot[i];
            const float b = slot[i + kStride];
            slot[i] = __fadd_rn(a, b);
            slot[i + kStride] = __fsub_rn(a, b);
          }
        }
      }
      within_slots<2 * kStride>(x);
    }
  }

  /// Lanes that will exchange hold their halves in turned order where they are odd (source_of).
  __device__ __forceinline__ void between_slots(LaneRun& x) const {
    const float sign = kLanesOfBlock<kBlock> > 1 ? sign_[0] : 1.0F;
#pragma unroll
    for (int i = 0; i < kSlot; ++i) {
      const float a = x[0][i];
      const float b = x[1][i];
      x[0][i] = __fmaf_rn(sign, a, b);
      x[1][i] = __fmaf_rn(-sign, b, a);
    }
  }

  /// Swaps slot 1 with the lane that differs in `kBit`, then does the butterflies: sums to slot 0
  /// and differences to slot 1, turned for the next exchange where lanes are odd in its bit. An odd
  /// lane's differences come out negated: the factor behind them makes that good.
  template <int kBit, bool kTurn>
  __device__ __forceinline__ void exchange(LaneRun& x) const {
    const float sign = kTurn ? sign_[kBit + 1 < 3 ? kBit + 1 : kBit] : 1.0F;
#pragma unroll
    for (int i = 0; i < kSlot; ++i) {
      const float own = x[0][i];
      const float other = __shfl_xor_sync(kAllLanes, x[1][i], 1 << kBit);
      x[0][i] = __fmaf_rn(sign, other, own);
      x[1][i] = __fmaf_rn(-sign, other, own);
    }
  }

  float sign_[3];
};

/// No rotation.
template <>
class LaneHadamard<1> {
 public:
  __device__ explicit LaneHadamard(int) {}
  __device__ __forceinline__ void transform(LaneRun&, float) const {}
};

}  // namespace rotor::kernels
