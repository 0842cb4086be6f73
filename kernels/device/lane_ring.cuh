// A ring of shared memory that a lane fills for itself ahead of use: what a lane copies it alone
// reads, so nothing is waited for but its own copies.
#pragma once

#include <cstdint>

#include "kernels/device/tensor_core.cuh"
#include "kernels/device/warp_tile.cuh"

namespace rotor::kernels {

/// Slots are [pieces][32 lanes] of 16 bytes for a warp.
template <int kPieces, int kStages>
class LaneRing {
 public:
  static constexpr int kSlotBytes = kPieces * kWarpSize * 16;
  static constexpr int kWarpBytes = kSlotBytes * kStages;

  /// `shared` is the warp's own.
  __device__ LaneRing(uint32_t shared, int lane) : base_(shared + lane * 16) {}

  __device__ __forceinline__ uint32_t address(int stage, int piece) const {
    return base_ + stage * kSlotBytes + piece * (kWarpSize * 16);
  }

  __device__ __forceinline__ void copy(int stage, int piece, const void* from, bool real) const {
    copy_async(address(stage, piece), from, real);
  }

  template <int kWords>
  __device__ __forceinline__ void read(int stage, int piece, uint32_t* words) const {
    static_assert(kWords == 4 || kWords == 2);
    const uint32_t at = address(stage, piece);
    if constexpr (kWords == 4) {
      asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                   : "r"(at)
                   : "memory");
    } else {
      asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];"
                   : "=r"(words[0]), "=r"(words[1])
                   : "r"(at)
                   : "memory");
    }
  }

 private:
  uint32_t base_;
};

}  // namespace rotor::kernels
