// Cholesky factorization of a large matrix on the GPU through cuSOLVER, in F32.
//
// Owns: the handle. Thread-safety: one caller at a time. Cost: n^3/3 multiply-adds at F32 GEMM
// speed; a workspace that cuSOLVER asks for, from the stream's pool, for the length of the call.
#pragma once

#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstdint>
#include <memory>

#include "quant/base/status.h"

namespace rotor::kernels {

class Cholesky {
 public:
  static Result<Cholesky> create();

  /// a [n, n] F32 on the device, row-major: on entry the lower triangle of a symmetric matrix, on
  /// success L of a = L L^T there; the strict upper triangle is left alone. Waits for the result.
  /// False: not positive definite in F32, and a is garbage. Errors: INTERNAL, RESOURCE_EXHAUSTED.
  Result<bool> factorize(float* a, int64_t n, cudaStream_t stream);

 private:
  struct Destroy {
    void operator()(cusolverDnContext* handle) const;
  };
  struct DestroyParams {
    void operator()(cusolverDnParams* params) const;
  };
  std::unique_ptr<cusolverDnContext, Destroy> handle_;
  std::unique_ptr<cusolverDnParams, DestroyParams> params_;
};

}  // namespace rotor::kernels
