#include "worker/backend/cpu/gemm.h"

#include <cblas.h>

#include <algorithm>

#include "quant/format/bf16.h"

namespace rotor::worker::cpu {
namespace {

// Chosen for OpenBLAS's rate on one core: large enough that packing does not show, small enough
// that a micro-batch gives every core several tiles.
constexpr int64_t kRowTile = 512;
constexpr int64_t kColumnTile = 256;
constexpr int64_t kDepthTile = 2048;  // bounds the widened part of a weight
constexpr int64_t kGramTile = 256;
// OpenBLAS sums the rows that fill no run of its kernels in another order. Padded to a run, a row's
// bits do not depend on how many there are: an expert's rows are as many as were routed to it.
constexpr int64_t kRowRun = 16;

blasint blas(int64_t value) {
  return static_cast<blasint>(value);
}

}  // namespace

int64_t tile_scratch(const WeightView& weight, int64_t count) {
  return weight.dtype == DType::kF32 ? 0 : count * std::min(weight.cols, kDepthTile);
}

void multiply_tile(const float* x, int64_t m, const WeightView& weight, int64_t row_begin,
                   int64_t count, float* out, int64_t ld_out, float* scratch) {
  const int64_t depth = weight.cols;
  for (int64_t k = 0; k < depth; k += kDepthTile) {
    const int64_t width = std::min(kDepthTile, depth - k);
    const char* stored = static_cast<const char*>(weight.data);
    const float* rows = nullptr;
    int64_t ld_rows = depth;
    if (weight.dtype == DType::kF32) {
      rows = reinterpret_cast<const float*>(stored) + row_begin * depth + k;
    } else {
      for (int64_t r = 0; r < count; ++r) {
        const int64_t first = (row_begin + r) * depth + k;
        // The dtype was checked when the weight was taken, so this cannot fail.
        static_cast<void>(widen_to_f32(stored + first * dtype_size(weight.dtype), weight.dtype,
                                       width, scratch + r * width));
      }
      rows = scratch;
      ld_rows = width;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas(m), blas(count), blas(width), 1.0F,
                x + k, blas(depth), rows, blas(ld_rows), k == 0 ? 0.0F : 1.0F, out, blas(ld_out));
  }
}

void multiply(const float* x, int64_t tokens, const WeightView& weight, const float* bias,
              float* out, ScratchPool& pool, Parallel& parallel) {
  const int64_t n = weight.rows;
  const int64_t column_tiles = tiles(n, kColumnTile);
  parallel.for_each(tiles(tokens, kRowTile) * column_tiles, [&](int64_t piece) {
    const int64_t t = piece / column_tiles * kRowTile;
    const int64_t c = piece % column_tiles * kColumnTile;
    const int64_t rows = std::min(kRowTile, tokens - t);
    const int64_t count = std::min(kColumnTile, n - c);
    const int64_t left = rows % kRowRun;
    const int64_t whole = rows - left;
    ScratchPool::Block block(pool);
    const int64_t widened = tile_scratch(weight, count);
    const int64_t padded = left > 0 ? kRowRun * (weight.cols + count) : 0;
    pool.borrow(static_cast<size_t>(widened + padded), block);
    if (whole > 0) {
      multiply_tile(x + t * weight.cols, whole, weight, c, count, out + t * n + c, n, block.data());
    }
    if (left > 0) {
      float* from = block.data() + widened;
      float* to = from + kRowRun * weight.cols;
      const float* last = x + (t + whole) * weight.cols;
      std::fill(std::copy_n(last, left * weight.cols, from), to, 0.0F);
      multiply_tile(from, kRowRun, weight, c, count, to, count, block.data());
      for (int64_t r = 0; r < left; ++r) {
        std::copy_n(to + r * count, count, out + (t + whole + r) * n + c);
      }
    }
    if (bias != nullptr) {
      for (int64_t r = t; r < t + rows; ++r) {
        for (int64_t j = c; j < c + count; ++j) {
          out[r * n + j] += bias[j];
        }
      }
    }
  });
}

void accumulate_gram(const float* x, int64_t tokens, int64_t n, float* hessian,
                     Parallel& parallel) {
  const int64_t side = tiles(n, kGramTile);
  parallel.for_each(side * (side + 1) / 2, [&](int64_t piece) {
    // Piece p is the p-th tile of the lower triangle in row order.
    int64_t row = 0;
    while ((row + 1) * (row + 2) / 2 <= piece) {
      ++row;
    }
    const int64_t i = row * kGramTile;
    const int64_t j = (piece - row * (row + 1) / 2) * kGramTile;
    const int64_t height = std::min(kGramTile, n - i);
    const int64_t width = std::min(kGramTile, n - j);
    float* tile = hessian + i * n + j;
    if (i == j) {
      cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, blas(height), blas(tokens), 1.0F, x + i,
                  blas(n), 1.0F, tile, blas(n));
    } else {
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas(height), blas(width), blas(tokens),
                  1.0F, x + i, blas(n), x + j, blas(n), 1.0F, tile, blas(n));
    }
  });
}

}  // namespace rotor::worker::cpu
