#include "kernels/gram.h"

#include <algorithm>

#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kDiagonalBlocks = 16;
// Blocks smaller than this would not fill the tensor cores' tiles.
constexpr int64_t kSmallestBlock = 512;
constexpr int64_t kBlockAlignment = 128;
// Up to here the whole square at once is faster than its lower half in parts, which would follow
// each other and leave most of a GPU idle.
constexpr int64_t kLargestWhole = 2048;

/// The edge of the blocks on the diagonal.
int64_t diagonal_block(int64_t n) {
  if (n <= kLargestWhole) {
    return n;
  }
  const int64_t even = (n + kDiagonalBlocks - 1) / kDiagonalBlocks;
  const int64_t aligned = (even + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
  return std::max(aligned, kSmallestBlock);
}

/// The lower triangle cut into squares, halving the diagonal blocks level by level; the squares of
/// a level are one batched product.
class Gram {
 public:
  Gram(Gemm& gemm, const void* x, int64_t tokens, int64_t n, float* hessian, cudaStream_t stream)
      : gemm_(gemm), x_(x), tokens_(tokens), n_(n), hessian_(hessian), stream_(stream) {}

  /// The squares of the block grid with edge `block`: rows from (2i+1) block, columns from 2i
  /// block; then the larger ones, away from the diagonal.
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
  /// The block of `rows` x `cols` at (row, col), and those that follow it `step` further down the
  /// diagonal, `batch` in all.
  Status add(int64_t row, int64_t col, int64_t rows, int64_t cols, int64_t batch, int64_t step) {
    GemmCall call;
    call.m = rows;
    call.n = cols;
    call.k = tokens_;
    call.a = columns(row, step);
    call.a.transposed = true;
    call.b = columns(col, step);
    call.any_k = true;  // an expert's tokens are another number each time
    call.out = hessian_ + row * n_ + col;
    call.out_ld = n_;
    call.out_dtype = DType::kF32;
    call.out_batch_stride = step * (n_ + 1);
    call.batch = batch;
    call.beta = 1.0F;
    return gemm_.run(call, stream_);
  }

  GemmOperand columns(int64_t first, int64_t step) const {
    return {static_cast<const char*>(x_) + first * dtype_size(DType::kBf16), n_, false, step};
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
  Gram gram(gemm, x, tokens, n, hessian, stream);
  const int64_t block = diagonal_block(n);
  ROTOR_RETURN_IF_ERROR(gram.add_squares(block));
  return gram.add_diagonal(block);
}

}  // namespace rotor::kernels
