// Products of which only the lower triangle is wanted: the sum that a Hessian is, and the trailing
// update of a Cholesky factorization.
//
// The triangle is cut into squares, halving the diagonal blocks level by level; the squares of a
// level are one batched product. With 16 diagonal blocks 53 % of the full product is computed.
//
// Thread-safety: as Gemm; enqueues on the caller's stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// One factor of the product, [n, k] in meaning. by_row: stored so, `ld` elements from row to row;
/// else stored as its transpose [k, n], `ld` from k to k.
struct TriangleFactor {
  const void* data = nullptr;
  int64_t ld = 0;
  bool by_row = true;
};

struct TriangleUpdate {
  int64_t n = 0;
  int64_t k = 0;
  TriangleFactor a;
  TriangleFactor b;
  DType in_dtype = DType::kBf16;
  float* out = nullptr;  // [n, n] F32 within lines of out_ld elements
  int64_t out_ld = 0;
  float alpha = 1.0F;
};

/// Lower triangle of out += alpha * a b^T. Blocks on the diagonal are written whole, the rest of
/// the upper triangle is left alone. Errors: those of Gemm::run.
Status add_lower_product(Gemm& gemm, const TriangleUpdate& update, cudaStream_t stream);

}  // namespace rotor::kernels
