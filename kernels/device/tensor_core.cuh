// Tensor core products of BF16 tiles and what feeds them: asynchronous copies into shared memory
// and loads of matrix fragments. From compute capability 8.0 on.
//
// Fragments are those of the PTX manual's mma.m16n8k16. With group = lane / 4 and pair = 2 * (lane
// % 4), a lane holds of the accumulator C [16, 8] the elements (group, pair), (group, pair + 1),
// (group + 8, pair), (group + 8, pair + 1).
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace rotor::kernels {

/// Four 8 x 8 matrices of BF16, two values a lane each.
using Fragment = uint32_t[4];

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/// Starts a copy of 16 bytes to shared memory; zeros, and no read, unless `real`.
__device__ __forceinline__ void copy_async(uint32_t shared, const void* global, bool real) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(real ? 16 : 0)
               : "memory");
}

/// The same of 8 bytes.
__device__ __forceinline__ void copy_async_8(uint32_t shared, const void* global, bool real) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared), "l"(global),
               "r"(real ? 8 : 0)
               : "memory");
}

/// Ends a group of copies that this thread started, for wait_for_groups.
__device__ __forceinline__ void end_copy_group() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most the last kPending groups of this thread are under way.
template <int kPending>
__device__ __forceinline__ void wait_for_groups() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Waits for all copies that this thread started. Others' are seen after a barrier.
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

/// Lanes 8 i to 8 i + 7 give the addresses of the rows of matrix i.
__device__ __forceinline__ void load_fragment(Fragment& fragment, uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared)
               : "memory");
}

/// The same with each matrix transposed.
__device__ __forceinline__ void load_fragment_transposed(Fragment& fragment, uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared)
               : "memory");
}

/// c [16, 8] += a [16, 16] b [16, 8], F32 += BF16 BF16. b0 is rows 0 to 7 of b, b1 rows 8 to 15.
__device__ __forceinline__ void multiply_add(float (&c)[4], const Fragment& a, uint32_t b0,
                                             uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace rotor::kernels
