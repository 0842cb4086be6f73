// Cholesky factorization of a block of up to 1024 rows on the diagonal of a large matrix, in F32:
// one launch a tile (kernels/tile_cholesky.h), and products on the ordinary cores between them.
//
// Thread-safety: as Gemm; enqueues on the caller's stream. Cost: about 30 launches; scratch of
// n * (n / 4 + 128) elements. Errors: those of Gemm::run and of Scratch::allocate.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kCholeskyBlock = 1024;

/// a [n, n] F32 within lines of `ld` elements: its lower triangle becomes L, a = L L^T; the upper
/// one becomes anything. inverse [n, n] becomes L^-1 with zeros above the diagonal. Where a is not
/// positive definite, the diagonal of L holds zero or NaN.
Status factorize_block(Gemm& gemm, float* a, int64_t n, int64_t ld, float* inverse,
                       cudaStream_t stream);

}  // namespace rotor::kernels
