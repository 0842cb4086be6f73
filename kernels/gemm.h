// Matrix products on the GPU through cuBLASLt, in row-major terms.
//
// Every product is summed by one thread block in one order (no split sums), so the same shapes give
// the same bits on the same kind of device. A product may also ask for bits that do not depend on
// how many rows or columns are computed with them.
//
// Owns: the handle, 32 MiB of workspace from the pool, and the algorithms chosen so far.
// Thread-safety: one caller at a time, on its stream. Cost: the first product of a shape asks
// cuBLASLt for an algorithm (tens of microseconds).
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>

#include "kernels/scratch.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// An operand: row-major with `ld` elements from row to row; `transposed`: its transpose is meant.
struct GemmOperand {
  const void* data = nullptr;
  int64_t ld = 0;
  bool transposed = false;
  int64_t batch_stride = 0;  // elements from one product of a batch to the next
};

/// out [m, n] = alpha * a [m, k] b [k, n] + beta * out (+ bias [n], in the dtype of out).
struct GemmCall {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  GemmOperand a;
  GemmOperand b;
  DType in_dtype = DType::kBf16;  // of a and b: BF16, F16, or F32 rounded to TF32
  void* out = nullptr;
  int64_t out_ld = 0;
  DType out_dtype = DType::kBf16;
  int64_t out_batch_stride = 0;
  int64_t batch = 1;
  float alpha = 1.0F;
  float beta = 0.0F;
  const void* bias = nullptr;
  /// F32 operands as they are, on the ordinary cores.
  bool full_f32 = false;
  /// The bits of a row of out do not depend on m, those of a column not on n: the algorithm is then
  /// the one for kCanonicalSize of them. Leading dimensions must be multiples of 4 elements.
  bool any_m = false;
  bool any_n = false;
  /// The algorithm is the one for the next power of two: for sums over many lengths, each of which
  /// would ask for an algorithm of its own. Both operands must have k as their outer dimension.
  bool any_k = false;
};

inline constexpr int64_t kCanonicalSize = 4096;

class Gemm {
 public:
  /// For products on `stream`, which must outlive it.
  static Result<Gemm> create(cudaStream_t stream);

  /// Enqueues the product. Errors: INTERNAL with cuBLASLt's status where it has no algorithm for
  /// the shape or the launch fails; RESOURCE_EXHAUSTED where m, n or k do not fit its types.
  Status run(const GemmCall& call, cudaStream_t stream);

 private:
  struct Destroy {
    void operator()(cublasLtHandle_t handle) const;
  };
  /// All of a call that an algorithm depends on.
  struct Key {
    int64_t m, n, k, lda, ldb, ldc, batch, stride_a, stride_b, stride_c;
    bool transpose_a, transpose_b, full_f32, bias, beta;
    DType in, out;
    auto operator<=>(const Key&) const = default;
  };

  std::unique_ptr<cublasLtContext, Destroy> handle_;
  Scratch workspace_;
  std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

}  // namespace rotor::kernels
