// A warp's way through a long array of BF16: runs of 1024 values, 32 neighbours a lane, copied to
// shared memory ahead of their use. Each warp has memory of its own, so warps never wait for each
// other.
//
// A lane's 64 bytes are followed by 16 unused ones: lanes then read 16 bytes each without a
// conflict of banks.
#pragma once

#include "kernels/device/lane_hadamard.cuh"
#include "kernels/device/tensor_core.cuh"

namespace rotor::kernels {

template <int kStages>
class LaneRunStream {
 public:
  static constexpr int kLanePitch = kLaneRun * 2 + 16;
  static constexpr int kStageBytes = kWarpSize * kLanePitch;
  static constexpr int kWarpBytes = kStages * kStageBytes;

  /// `shared`: kWarpBytes of this warp's own. Runs `first`, `first + step`, ... of x [count]; count
  /// is a multiple of 8.
  __device__ LaneRunStream(const __nv_bfloat16* x, int64_t count, int64_t first, int64_t step,
                           uint32_t shared, int lane)
      : x_(x), count_(count), next_(first), step_(step), shared_(shared), lane_(lane) {
#pragma unroll
    for (int stage = 0; stage < kStages - 1; ++stage) {
      fetch(stage);
    }
  }

  /// The next run, `sources` being the 16 values of it that each slot takes. Zeros past the end.
  __device__ __forceinline__ void take(LaneRun& values, const int (&sources)[2]) {
    wait_for_groups<kStages - 2>();
    __syncwarp();
    const int ahead = stage_ == 0 ? kStages - 1 : stage_ - 1;
    fetch(ahead);
#pragma unroll
    for (int slot = 0; slot < 2; ++slot) {
      const uint32_t at = shared_ + stage_ * kStageBytes + sources[slot] / 2 * kLanePitch +
                          sources[slot] % 2 * kSlot * 2;
      read(at, &values[slot][0]);
      read(at + 16, &values[slot][8]);
    }
    stage_ = stage_ + 1 == kStages ? 0 : stage_ + 1;
  }

 private:
  __device__ __forceinline__ void fetch(int stage) {
    const int64_t begin = next_ * kRun;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int chunk = i * kWarpSize + lane_;  // of 8 values
      const int64_t at = begin + chunk * 8;
      const bool real = at < count_;
      copy_async(shared_ + stage * kStageBytes + chunk / 4 * kLanePitch + chunk % 4 * 16,
                 real ? x_ + at : x_, real);
    }
    end_copy_group();
    next_ += step_;
  }

  static __device__ __forceinline__ void read(uint32_t at, float* values) {
    uint32_t word[4];
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
                 : "r"(at)
                 : "memory");
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      values[2 * i] = __uint_as_float(word[i] << 16);
      values[2 * i + 1] = __uint_as_float(word[i] & 0xFFFF0000U);
    }
  }

  const __nv_bfloat16* x_;
  int64_t count_;
  int64_t next_;  // run to fetch
  int64_t step_;
  uint32_t shared_;
  int lane_;
  int stage_ = 0;
};

}  // namespace rotor::kernels
