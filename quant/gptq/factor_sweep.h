// L^-1 of a positive definite matrix A = L L^T, in place and in one sweep over its tiles.
//
// Step k of the sweep factorizes the diagonal tile, and then every tile (i, j) below row k takes
// one product: left of column k it is the inverse's, right of it the factorization's. So both parts
// share their barriers, and all pieces of a step are products of the same size.
//
// Thread-safety: pure function. Needs OpenBLAS set to one thread. Tiles depend on n alone, so any
// number of threads makes the same bits. Cost: 1/3 n^3 multiply-adds; n * kSweepTile floats.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"

namespace rotor {

inline constexpr int64_t kSweepTile = 128;

/// a [n, n] F32 row-major: on entry the lower triangle of A, on success L^-1 in the lower triangle.
/// The strict upper triangle is neither read nor written, the diagonal tiles' aside, which become
/// 0. False where A is not positive definite in F32 or the inverse is not finite; a is then
/// garbage.
bool invert_cholesky(float* a, int64_t n, Parallel& parallel);

}  // namespace rotor
