#include "kernels/gram.h"

#include <algorithm>

#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kDiagonalBlocks = 16;
// Blocks smaller than this would not fill the tensor cores' tiles.
constexpr int64_t kSmallestBlock = 512;
constexpr int64_t kBlockAlignment = 128;

class Triangle {
 public:
  Triangle(Gemm& gemm, const void* x, int64_t tokens, int64_t n, float* hessian,
           cudaStream_t stream)
      : gemm_(gemm), x_(x), tokens_(tokens), n_(n), hessian_(hessian), stream_(stream) {}

  /// Adds the squares of the block grid with edge `block`: rows from (2i+1) block, columns from 2i
  /// block; then the smaller ones towards the diagonal.
  Status add_squares(int64_t block) {
    for (int64_t edge = block; edge < n_; edge *= 2) {
      const int64_t full = n_ / edge / 2;  // pairs of whole blocks
      ROTOR_RETURN_IF_ERROR(add(edge, 0, edge, edge, full, 2 * edge));
      const int64_t row = (2 * full + 1) * edge;
      if (row < n_) {
        ROTOR_RETURN_IF_ERROR(add(row, 2 * full * edge, n_ - row, edge, 1, 0));
      }
    }
    return {};
  }

  Status add_diagonal(int64_t block) {
    const int64_t full = n_ / block;
    ROTOR_RETURN_IF_ERROR(add(0, 0, block, block, full, block));
    const int64_t begin = full * block;
    return begin < n_ ? add(begin, begin, n_ - begin, n_ - begin, 1, 0) : Status();
  }

 private:
  /// hessian[row + i step.., col + i step..] += x[:, rows]^T x[:, cols] for i < batch.
  Status add(int64_t row, int64_t col, int64_t rows, int64_t cols, int64_t batch, int64_t step) {
    GemmCall call;
    call.m = rows;
    call.n = cols;
    call.k = tokens_;
    call.a = {column(row), n_, true, step};
    call.b = {column(col), n_, false, step};
    call.out = hessian_ + row * n_ + col;
    call.out_ld = n_;
    call.out_dtype = DType::kF32;
    call.out_batch_stride = step * (n_ + 1);
    call.batch = batch;
    call.beta = 1.0F;
    return gemm_.run(call, stream_);
  }

  const void* column(int64_t index) const {
    return static_cast<const char*>(x_) + index * dtype_size(DType::kBf16);
  }

  Gemm& gemm_;
  const void* x_;
  int64_t tokens_;
  int64_t n_;
  float* hessian_;
  cudaStream_t stream_;
};

}  // namespace

Status accumulate_gram(Gemm& gemm, const void* x, int64_t tokens, int64_t n, float* hessian,
                       cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, n));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("hessian", hessian));
  const int64_t even = (n + kDiagonalBlocks - 1) / kDiagonalBlocks;
  const int64_t aligned = (even + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
  const int64_t block = std::max(aligned, kSmallestBlock);
  Triangle triangle(gemm, x, tokens, n, hessian, stream);
  ROTOR_RETURN_IF_ERROR(triangle.add_squares(block));
  return triangle.add_diagonal(block);
}

}  // namespace rotor::kernels
