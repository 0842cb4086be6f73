// Hopper's asynchronous tensor core products, bulk copies of tiles, and the barriers between them.
// For compute capability 9.0 alone (sm_90a).
//
// A warpgroup of four warps multiplies [64, 16] from registers, the A fragment of mma.m16n8k16 for
// each warp's 16 rows, by [16, tokens] from shared memory. The latter is a tile of [tokens, 64]
// BF16 as the copy engine lays it down with swizzled lines of 128 bytes, aligned to 1024.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/device/tensor_core.cuh"

namespace rotor::kernels {

/// A barrier in shared memory that counts arrivals and, of copies, bytes.
class CopyBarrier {
 public:
  __device__ explicit CopyBarrier(uint32_t shared) : address_(shared) {}

  __device__ __forceinline__ void create(int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address_), "r"(arrivals)
                 : "memory");
  }

  __device__ __forceinline__ void arrive() const {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address_) : "memory");
  }

  /// Arrives, and makes the phase wait for so many bytes of copies.
  __device__ __forceinline__ void arrive_expecting(int bytes) const {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address_),
                 "r"(bytes)
                 : "memory");
  }

  /// Waits until the phase of this parity is complete.
  __device__ __forceinline__ void wait(int parity) const {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again%=:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again%=;\n"
        "}\n" ::"r"(address_),
        "r"(parity)
        : "memory");
  }

  /// Starts the copy of the tile at (col, row) of `map`; its bytes count at this barrier.
  __device__ __forceinline__ void copy_tile(uint32_t shared, const CUtensorMap& map, int col,
                                            int row) const {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared),
        "l"(&map), "r"(address_), "r"(col), "r"(row)
        : "memory");
  }

 private:
  uint32_t address_;
};

/// Makes barriers that this thread created known to the copy engine.
__device__ __forceinline__ void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Registers a thread of this warpgroup gives up, or takes of those given up.
template <int kLeft>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kLeft));
}
template <int kHeld>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kHeld));
}

/// How a product finds its tile: columns in lines of 128 swizzled bytes, 8 lines a block of 1024.
__device__ __forceinline__ uint64_t tile_descriptor(uint32_t shared) {
  constexpr uint64_t kLineSwizzle = 1;
  constexpr uint64_t kBlockStride = 1024 / 16;
  return kLineSwizzle << 62 | kBlockStride << 32 | uint64_t{1} << 16 | (shared & 0x3FFFFU) >> 4;
}
/// From one step of 16 columns to the next.
inline constexpr uint64_t kStepOfDescriptor = 32 / 16;

/// Before the first product that reads registers written since the last one.
__device__ __forceinline__ void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void end_product_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits until at most the last kPending groups are under way.
template <int kPending>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Operands of the instruction: 8, 32, ... registers of d from index i on.
#define ROTOR_D8(i)                                                                     \
  "+f"(d[(i)]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3]), "+f"(d[(i) + 4]), \
      "+f"(d[(i) + 5]), "+f"(d[(i) + 6]), "+f"(d[(i) + 7])
#define ROTOR_D32(i) ROTOR_D8(i), ROTOR_D8((i) + 8), ROTOR_D8((i) + 16), ROTOR_D8((i) + 24)
#define ROTOR_D64(i) ROTOR_D32(i), ROTOR_D32((i) + 32)
#define ROTOR_D128(i) ROTOR_D64(i), ROTOR_D64((i) + 64)
// Their places in its text, which begin with the registers of d.
#define ROTOR_PLACES_32                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ROTOR_PLACES_64                                                                \
  ROTOR_PLACES_32                                                                      \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define ROTOR_PLACES_128                                                                   \
  ROTOR_PLACES_64                                                                          \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "     \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "       \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, " \
  "%111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, "   \
  "%125, %126, %127"
#define ROTOR_MULTIPLY(shape, places, a_and_b, registers)                                    \
  asm volatile("wgmma.mma_async.sync.aligned." shape ".f32.bf16.bf16 {" places "}, " a_and_b \
               ", 1, 1, 1, 0;"                                                               \
               : registers                                                                   \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

/// d [64, 2 * registers] += a [64, 16] b [16, 2 * registers], for 64, 128 and 256 tokens; registers
/// 4 i to 4 i + 3 of d are the accumulator of mma.m16n8k16 for tokens 8 i to 8 i + 7.
__device__ __forceinline__ void multiply_tile(float (&d)[32], const Fragment& a, uint64_t b) {
  ROTOR_MULTIPLY("m64n64k16", ROTOR_PLACES_32, "{%32, %33, %34, %35}, %36", ROTOR_D32(0));
}

__device__ __forceinline__ void multiply_tile(float (&d)[64], const Fragment& a, uint64_t b) {
  ROTOR_MULTIPLY("m64n128k16", ROTOR_PLACES_64, "{%64, %65, %66, %67}, %68", ROTOR_D64(0));
}

__device__ __forceinline__ void multiply_tile(float (&d)[128], const Fragment& a, uint64_t b) {
  ROTOR_MULTIPLY("m64n256k16", ROTOR_PLACES_128, "{%128, %129, %130, %131}, %132", ROTOR_D128(0));
}

#undef ROTOR_MULTIPLY
#undef ROTOR_PLACES_128
#undef ROTOR_PLACES_64
#undef ROTOR_PLACES_32
#undef ROTOR_D128
#undef ROTOR_D64
#undef ROTOR_D32
#undef ROTOR_D8

}  // namespace rotor::kernels
