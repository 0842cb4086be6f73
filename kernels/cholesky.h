// Cholesky factorization of a large matrix in F32, on one GPU or on those of a group together.
//
// The matrix is equilibrated, and goes in panels of 1024 columns: a block on the diagonal
// (kernels/block_cholesky.h), then tensor cores in split F16 (kernels/split_f16.h) for what is
// below it and for what that takes from each panel to the right. An element of L L^T comes out
// within 2e-5 of the root of its two diagonal elements' product.
//
// In a group, panel p belongs to rank p % ranks, which factorizes it and brings it up to date; each
// finished panel goes to all. One rank or several: the same products, the same bits.
//
// Thread-safety: as Gemm; enqueues on the caller's stream. Cost: n^3/6 multiply-adds; scratch of
// 12 KiB a row for the length of the call.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// The ranks that factorize a matrix together, each on a GPU and with a copy of it.
struct CholeskyGroup {
  int rank = 0;
  int ranks = 1;
  /// The error of any rank on all of them, before one waits for another. Unused by one rank alone.
  std::function<Status(const Status& mine)> agree;
  /// Gives `count` floats of device memory of `root` to all, in order with the stream.
  std::function<Status(float* data, int64_t count, int root)> broadcast;
};

/// a [n, n] F32 on the device, row-major: on entry the lower triangle of a symmetric matrix,
/// afterwards L of a = L L^T there; what the strict upper triangle holds is undefined. Where the
/// matrix is not positive definite in F32, the diagonal of L holds zero or NaN. Collective over the
/// group. Errors: RESOURCE_EXHAUSTED, and those of Gemm::run and the group.
Status factorize_cholesky(Gemm& gemm, float* a, int64_t n, const CholeskyGroup& group,
                          cudaStream_t stream);

}  // namespace rotor::kernels
