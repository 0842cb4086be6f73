// Cholesky factorization of a large matrix on the GPU, in F32.
//
// Large ones go in panels of 1024 columns: cuSOLVER factorizes and inverts the diagonal block, and
// tensor cores do the rest in split TF32 (kernels/split_tf32.h). An element of L L^T comes out within
// 2e-5 of the root of its two diagonal elements' product; F32 units reach 1e-6 at half the speed.
//
// Owns: the handle. Thread-safety: one caller at a time. Cost: n^3/6 multiply-adds; scratch of
// cuSOLVER's workspace, and of 28 KiB a row for large matrices, for the length of the call.
#pragma once

#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstdint>
#include <memory>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

class Cholesky {
 public:
  static Result<Cholesky> create();

  /// a [n, n] F32 on the device, row-major: on entry the lower triangle of a symmetric matrix, on
  /// success L of a = L L^T there; what the strict upper triangle holds afterwards is undefined.
  /// Waits for the result. False: not positive definite in F32, and a is garbage. Errors: INTERNAL,
  /// RESOURCE_EXHAUSTED.
  Result<bool> factorize(Gemm& gemm, float* a, int64_t n, cudaStream_t stream);

 private:
  struct Destroy {
    void operator()(cusolverDnContext* handle) const;
  };
  struct DestroyParams {
    void operator()(cusolverDnParams* params) const;
  };

  /// In place, of the block [n, n] within lines of ld; `info` on the device takes cuSOLVER's
  /// outcome. Enqueues.
  Status factorize_block(float* a, int64_t n, int64_t ld, int* info, cudaStream_t stream);
  Status invert_block(float* a, int64_t n, int* info, cudaStream_t stream);
  /// The panel below a factorized block, and what it takes from the rest of the matrix.
  Status eliminate(Gemm& gemm, float* block, int64_t width, int64_t below, int64_t ld, int* info,
                   cudaStream_t stream);

  std::unique_ptr<cusolverDnContext, Destroy> handle_;
  std::unique_ptr<cusolverDnParams, DestroyParams> params_;
};

}  // namespace rotor::kernels
