#include "quant/gptq/factor_sweep.h"

#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "quant/format/finite.h"
#include "quant/gptq/lapack.h"

namespace rotor {
namespace {

/// The matrix cut into tiles of kSweepTile rows and columns, the last one shorter.
class TiledMatrix {
 public:
  TiledMatrix(float* a, int64_t n) : a_(a), n_(n) {}

  int64_t tiles() const { return (n_ + kSweepTile - 1) / kSweepTile; }
  int size(int64_t i) const { return static_cast<int>(std::min(kSweepTile, n_ - i * kSweepTile)); }
  int stride() const { return static_cast<int>(n_); }
  float* at(int64_t i, int64_t j) const { return a_ + (i * n_ + j) * kSweepTile; }

 private:
  float* a_;
  int64_t n_;
};

/// Replaces the diagonal tile by the inverse of its factor. False where it has none.
bool factorize_diagonal(const TiledMatrix& m, int64_t k) {
  const int size = m.size(k);
  const int stride = m.stride();
  float* tile = m.at(k, k);
  int info = 0;
  spotrf_("U", &size, tile, &stride, &info);
  if (info != 0) {
    return false;
  }
  strtri_("U", "N", &size, tile, &stride, &info);
  if (info != 0) {
    return false;
  }
  for (int64_t r = 0; r < size; ++r) {
    std::fill(tile + r * stride + r + 1, tile + r * stride + size, 0.0F);
    if (first_non_finite(tile + r * stride, r + 1) >= 0) {
      return false;
    }
  }
  return true;
}

/// panel (i) = A_ik L_kk^-T, the column of L below the diagonal tile, in a buffer of its own: its
/// place in the matrix goes to the inverse in the same step.
void solve_panel(const TiledMatrix& m, int64_t k, int64_t i, float* panel) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m.size(i), m.size(k), m.size(k), 1.0F,
              m.at(i, k), m.stride(), m.at(k, k), m.stride(), 0.0F, panel, kSweepTile);
}

/// Row k of the inverse: X_kj = L_kk^-1 (what its tiles have gathered so far), j < k.
void finish_inverse_tile(const TiledMatrix& m, int64_t k, int64_t j) {
  cblas_strmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, m.size(k),
              m.size(j), 1.0F, m.at(k, k), m.stride(), m.at(k, j), m.stride());
}

/// One product on tile (i, j), i > k: A_ij -= L_ik L_jk^T right of column k, A_ij -= L_ik X_kj left
/// of it; in column k the inverse begins with -L_ik X_kk.
void update_tile(const TiledMatrix& m, int64_t k, int64_t i, int64_t j, const float* panel) {
  const float* left = panel + (i - k - 1) * kSweepTile * kSweepTile;
  if (j > k) {
    const float* right = panel + (j - k - 1) * kSweepTile * kSweepTile;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m.size(i), m.size(j), m.size(k), -1.0F,
                left, kSweepTile, right, kSweepTile, 1.0F, m.at(i, j), m.stride());
  } else {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m.size(i), m.size(j), m.size(k), -1.0F,
                left, kSweepTile, m.at(k, j), m.stride(), j == k ? 0.0F : 1.0F, m.at(i, j),
                m.stride());
  }
}

}  // namespace

bool invert_cholesky(float* a, int64_t n, Parallel& parallel) {
  const TiledMatrix m(a, n);
  const int64_t tiles = m.tiles();
  std::vector<float> panel(static_cast<size_t>(tiles * kSweepTile * kSweepTile));
  for (int64_t k = 0; k < tiles; ++k) {
    if (!factorize_diagonal(m, k)) {
      return false;
    }
    const int64_t below = tiles - k - 1;
    parallel.for_each(tiles - 1, [&](int64_t piece) {
      if (piece < below) {
        solve_panel(m, k, k + 1 + piece, panel.data() + piece * kSweepTile * kSweepTile);
      } else {
        finish_inverse_tile(m, k, piece - below);
      }
    });
    // Long rows first, so that the last pieces are short ones.
    parallel.for_each(below, [&](int64_t piece) {
      const int64_t i = tiles - 1 - piece;
      for (int64_t j = 0; j <= i; ++j) {
        update_tile(m, k, i, j, panel.data());
      }
    });
  }
  std::atomic<bool> finite{true};
  parallel.for_each(n, [&](int64_t row) {
    if (first_non_finite(a + row * n, row + 1) >= 0) {
      finite = false;
    }
  });
  return finite;
}

}  // namespace rotor
