#include "quant/gptq/noisy_inputs.h"

#include <cblas.h>

#include <algorithm>
#include <vector>

namespace rotor {

void fit_noisy_inputs(float* w, int64_t rows, int64_t n, const float* noise,
                      const SolveFactor& factor, Parallel& parallel) {
  constexpr int64_t kTile = kSolveRowTile;
  parallel.for_each((rows + kTile - 1) / kTile, [&](int64_t tile) {
    float* const first = w + tile * kTile * n;
    const int64_t count = std::min(kTile, rows - tile * kTile);
    // Rows beyond the last are zeros: the shape of a product may decide its rounding.
    std::vector<float> shift(static_cast<size_t>(kTile * n), 0.0F);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t place = 0; place < n; ++place) {
        const int64_t column = factor.order[place];
        shift[static_cast<size_t>(r * n + place)] = first[r * n + column] * noise[column];
      }
    }
    // F^-1 = U^T U in the order of places.
    const auto multiply = [&](CBLAS_TRANSPOSE transpose) {
      cblas_strmm(CblasRowMajor, CblasRight, CblasUpper, transpose, CblasNonUnit,
                  static_cast<int>(kTile), static_cast<int>(n), 1.0F, factor.upper,
                  static_cast<int>(n), shift.data(), static_cast<int>(n));
    };
    multiply(CblasTrans);
    multiply(CblasNoTrans);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t place = 0; place < n; ++place) {
        first[r * n + factor.order[place]] -= shift[static_cast<size_t>(r * n + place)];
      }
    }
  });
}

}  // namespace rotor
