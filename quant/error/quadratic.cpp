#include "quant/error/quadratic.h"

#include <cblas.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace rotor {
namespace {

constexpr int64_t kColumnBlock = 256;

/// Sum over a block of columns of d_c p_c in F64. Eight sums, for a chain of additions in F64 would
/// take longer than the product with H.
double dot(const float* d, const float* p, int64_t width) {
  constexpr int64_t kSums = 8;
  double sums[kSums] = {};
  int64_t c = 0;
  for (; c + kSums <= width; c += kSums) {
    for (int64_t i = 0; i < kSums; ++i) {
      sums[i] += static_cast<double>(d[c + i]) * static_cast<double>(p[c + i]);
    }
  }
  for (; c < width; ++c) {
    sums[0] += static_cast<double>(d[c]) * static_cast<double>(p[c]);
  }
  return std::accumulate(sums, sums + kSums, 0.0);
}

/// d H d^T for the rows of d [kQuadraticRowTile, n], by blocks of columns j: the terms left of the
/// diagonal count twice, so that only the lower triangle of H is multiplied.
void quadratic_tile(const float* d, int64_t n, const float* hessian, double* out) {
  std::vector<float> product(static_cast<size_t>(kQuadraticRowTile * kColumnBlock));
  for (int64_t j = 0; j < n; j += kColumnBlock) {
    const int64_t width = std::min(kColumnBlock, n - j);
    const int64_t below = j + width;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kQuadraticRowTile,
                static_cast<int>(width), static_cast<int>(width), 1.0F, d + j, static_cast<int>(n),
                hessian + j * n + j, static_cast<int>(n), 0.0F, product.data(), kColumnBlock);
    if (below < n) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kQuadraticRowTile,
                  static_cast<int>(width), static_cast<int>(n - below), 2.0F, d + below,
                  static_cast<int>(n), hessian + below * n + j, static_cast<int>(n), 1.0F,
                  product.data(), kColumnBlock);
    }
    for (int64_t r = 0; r < kQuadraticRowTile; ++r) {
      out[r] += dot(d + r * n + j, product.data() + r * kColumnBlock, width);
    }
  }
}

}  // namespace

void quadratic_rows(const float* a, const float* b, int64_t rows, int64_t n, const float* hessian,
                    double* out, Parallel& parallel) {
  const int64_t tiles = (rows + kQuadraticRowTile - 1) / kQuadraticRowTile;
  parallel.for_each(tiles, [&](int64_t tile) {
    const int64_t begin = tile * kQuadraticRowTile;
    const int64_t count = std::min(kQuadraticRowTile, rows - begin);
    // A short last tile is filled with zeros: the shape of a product may decide its rounding.
    std::vector<float> d(static_cast<size_t>(kQuadraticRowTile * n));
    for (int64_t i = 0; i < count * n; ++i) {
      d[static_cast<size_t>(i)] =
          b == nullptr ? a[begin * n + i] : a[begin * n + i] - b[begin * n + i];
    }
    double sums[kQuadraticRowTile] = {};
    quadratic_tile(d.data(), n, hessian, sums);
    std::copy_n(sums, count, out + begin);
  });
}

}  // namespace rotor
