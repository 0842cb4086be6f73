#include "kernels/block_cholesky.h"

#include <algorithm>

#include "kernels/cuda_status.h"
#include "kernels/scratch.h"
#include "kernels/tile_cholesky.h"

namespace rotor::kernels {
namespace {

/// Products of F32 blocks that lie in larger matrices.
GemmCall product(int64_t m, int64_t n, int64_t k, const GemmOperand& a, const GemmOperand& b,
                 float* out, int64_t out_ld) {
  GemmCall call;
  call.m = m;
  call.n = n;
  call.k = k;
  call.a = a;
  call.b = b;
  call.in_dtype = DType::kF32;
  call.full_f32 = true;
  call.out = out;
  call.out_ld = out_ld;
  call.out_dtype = DType::kF32;
  return call;
}

class BlockCholesky {
 public:
  BlockCholesky(Gemm& gemm, float* a, int64_t n, int64_t ld, float* inverse, cudaStream_t stream)
      : gemm_(gemm), a_(a), n_(n), ld_(ld), inverse_(inverse), stream_(stream) {}

  Status run() {
    ROTOR_ASSIGN_OR_RETURN(
        scratch_,
        Scratch::allocate(n_ * (n_ / 4 + kCholeskyTile) * int64_t{sizeof(float)}, stream_));
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
        cudaMemsetAsync(inverse_, 0, static_cast<size_t>(n_ * n_) * sizeof(float), stream_)));
    for (int64_t begin = 0; begin < n_; begin += kCholeskyTile) {
      const int64_t size = std::min(kCholeskyTile, n_ - begin);
      ROTOR_RETURN_IF_ERROR(
          factorize_tile(at(begin, begin), size, ld_, inverse_at(begin, begin), n_, stream_));
      if (begin + size < n_) {
        ROTOR_RETURN_IF_ERROR(eliminate(begin, size));
      }
    }
    for (int64_t half = kCholeskyTile; half < n_; half *= 2) {
      const int64_t pairs = n_ / (2 * half);
      ROTOR_RETURN_IF_ERROR(join_inverses(0, half, half, pairs));
      const int64_t top = pairs * 2 * half;
      if (top + half < n_) {
        ROTOR_RETURN_IF_ERROR(join_inverses(top, half, n_ - top - half, 1));
      }
    }
    return {};
  }

 private:
  float* at(int64_t row, int64_t col) const { return a_ + row * ld_ + col; }
  float* inverse_at(int64_t row, int64_t col) const { return inverse_ + row * n_ + col; }

  /// The column below a factorized tile, and what it takes from the rest of the block.
  Status eliminate(int64_t begin, int64_t size) {
    const int64_t next = begin + size;
    const int64_t below = n_ - next;
    float* column = at(next, begin);
    const size_t line = static_cast<size_t>(size) * sizeof(float);
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
        cudaMemcpy2DAsync(scratch_.data(), line, column, static_cast<size_t>(ld_) * sizeof(float),
                          line, static_cast<size_t>(below), cudaMemcpyDeviceToDevice, stream_)));
    ROTOR_RETURN_IF_ERROR(gemm_.run(product(below, size, size, {scratch_.data(), size, false},
                                            {inverse_at(begin, begin), n_, true}, column, ld_),
                                    stream_));
    GemmCall rest =
        product(below, below, size, {column, ld_, false}, {column, ld_, true}, at(next, next), ld_);
    rest.alpha = -1.0F;
    rest.beta = 1.0F;
    return gemm_.run(rest, stream_);
  }

  /// Of [A 0; B C] with `half` rows in A and `rows` in C, A^-1 and C^-1 being there: -C^-1 B A^-1,
  /// for `pairs` of them down the diagonal.
  Status join_inverses(int64_t top, int64_t half, int64_t rows, int64_t pairs) {
    if (pairs == 0) {
      return {};
    }
    const int64_t middle = top + half;
    const int64_t step = 2 * half;
    GemmCall first =
        product(rows, half, half, {at(middle, top), ld_, false, step * (ld_ + 1)},
                {inverse_at(top, top), n_, false, step * (n_ + 1)}, scratch_.as<float>(), half);
    first.batch = pairs;
    first.out_batch_stride = rows * half;
    ROTOR_RETURN_IF_ERROR(gemm_.run(first, stream_));
    GemmCall second =
        product(rows, half, rows, {inverse_at(middle, middle), n_, false, step * (n_ + 1)},
                {scratch_.data(), half, false, rows * half}, inverse_at(middle, top), n_);
    second.batch = pairs;
    second.out_batch_stride = step * (n_ + 1);
    second.alpha = -1.0F;
    return gemm_.run(second, stream_);
  }

  Gemm& gemm_;
  float* a_;
  int64_t n_;
  int64_t ld_;
  float* inverse_;
  cudaStream_t stream_;
  Scratch scratch_;
};

}  // namespace

Status factorize_block(Gemm& gemm, float* a, int64_t n, int64_t ld, float* inverse,
                       cudaStream_t stream) {
  return BlockCholesky(gemm, a, n, ld, inverse, stream).run();
}

}  // namespace rotor::kernels
