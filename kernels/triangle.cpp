#include "kernels/triangle.h"

#include <algorithm>

namespace rotor::kernels {
namespace {

constexpr int64_t kDiagonalBlocks = 16;
// Blocks smaller than this would not fill the tensor cores' tiles.
constexpr int64_t kSmallestBlock = 512;
constexpr int64_t kBlockAlignment = 128;

class Triangle {
 public:
  Triangle(Gemm& gemm, const TriangleUpdate& update, cudaStream_t stream)
      : gemm_(gemm), update_(update), stream_(stream) {}

  /// Adds the squares of the block grid with edge `block`: rows from (2i+1) block, columns from 2i
  /// block; then the larger ones, away from the diagonal.
  Status add_squares(int64_t block) {
    const int64_t n = update_.n;
    for (int64_t edge = block; edge < n; edge *= 2) {
      const int64_t full = n / edge / 2;  // pairs of whole blocks
      ROTOR_RETURN_IF_ERROR(add(edge, 0, edge, edge, full, 2 * edge));
      const int64_t row = (2 * full + 1) * edge;
      if (row < n) {
        ROTOR_RETURN_IF_ERROR(add(row, 2 * full * edge, n - row, edge, 1, 0));
      }
    }
    return {};
  }

  Status add_diagonal(int64_t block) {
    const int64_t n = update_.n;
    const int64_t full = n / block;
    ROTOR_RETURN_IF_ERROR(add(0, 0, block, block, full, block));
    const int64_t begin = full * block;
    return begin < n ? add(begin, begin, n - begin, n - begin, 1, 0) : Status();
  }

 private:
  /// The block of `rows` x `cols` at (row, col), and those that follow it `step` further down the
  /// diagonal, `batch` in all.
  Status add(int64_t row, int64_t col, int64_t rows, int64_t cols, int64_t batch, int64_t step) {
    GemmCall call;
    call.m = rows;
    call.n = cols;
    call.k = update_.k;
    call.a = operand(update_.a, row, step);
    call.a.transposed = !update_.a.by_row;
    call.b = operand(update_.b, col, step);
    call.b.transposed = update_.b.by_row;
    call.in_dtype = update_.in_dtype;
    call.out = update_.out + row * update_.out_ld + col;
    call.out_ld = update_.out_ld;
    call.out_dtype = DType::kF32;
    call.out_batch_stride = step * (update_.out_ld + 1);
    call.batch = batch;
    call.alpha = update_.alpha;
    call.beta = 1.0F;
    return gemm_.run(call, stream_);
  }

  GemmOperand operand(const TriangleFactor& factor, int64_t index, int64_t step) const {
    const int64_t stride = factor.by_row ? factor.ld : 1;
    const auto* data = static_cast<const char*>(factor.data);
    return {data + index * stride * dtype_size(update_.in_dtype), factor.ld, false, step * stride};
  }

  Gemm& gemm_;
  const TriangleUpdate& update_;
  cudaStream_t stream_;
};

}  // namespace

Status add_lower_product(Gemm& gemm, const TriangleUpdate& update, cudaStream_t stream) {
  const int64_t even = (update.n + kDiagonalBlocks - 1) / kDiagonalBlocks;
  const int64_t aligned = (even + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
  const int64_t block = std::max(aligned, kSmallestBlock);
  Triangle triangle(gemm, update, stream);
  ROTOR_RETURN_IF_ERROR(triangle.add_squares(block));
  return triangle.add_diagonal(block);
}

}  // namespace rotor::kernels
