#include "quant/gptq/solve.h"

#include <cblas.h>

#include <algorithm>
#include <vector>

#include "quant/format/codes.h"
#include "quant/format/finite.h"
#include "quant/format/rounding.h"

namespace rotor {
namespace {

constexpr int64_t kTile = kSolveRowTile;
constexpr int64_t kBlock = 128;  // columns between two trailing updates

/// One tile of rows, transposed: a column of it is kTile consecutive floats, so that each step of
/// the recursion over columns runs along the vector registers.
class TileSolver {
 public:
  TileSolver(const QuantScheme& scheme, const SolveFactor& factor, int64_t cols)
      : scheme_(scheme),
        factor_(factor),
        cols_(cols),
        weights_(static_cast<size_t>(cols * kTile)),
        scales_(static_cast<size_t>(cols / scheme.group_size * kTile)),
        errors_(static_cast<size_t>(kBlock * kTile)),
        codes_(static_cast<size_t>(cols * kTile)) {}

  /// `rows` rows (kTile at most); the lanes beyond them hold zeros, for the shape of a product may
  /// decide its rounding.
  void load(const float* w, const float* effective, int64_t rows) {
    const int64_t groups = cols_ / scheme_.group_size;
    if (rows < kTile) {
      std::fill(weights_.begin(), weights_.end(), 0.0F);
      std::fill(scales_.begin(), scales_.end(), 1.0F);
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < cols_; ++i) {
        weight(i)[r] = w[r * cols_ + factor_.order[i]];
      }
      for (int64_t g = 0; g < groups; ++g) {
        scale(g)[r] = effective[r * groups + g];
      }
    }
  }

  template <typename Rounding>
  void solve() {
    for (int64_t begin = 0; begin < cols_; begin += kBlock) {
      const int64_t end = std::min(begin + kBlock, cols_);
      for (int64_t i = begin; i < end; ++i) {
        float* error = errors_.data() + (i - begin) * kTile;
        quantize_column<Rounding>(i, error);
        for (int64_t j = i + 1; j < end; ++j) {
          subtract(weight(j), upper(i, j), error);
        }
      }
      if (end < cols_) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(cols_ - end), kTile,
                    static_cast<int>(end - begin), -1.0F, &factor_.upper[begin * cols_ + end],
                    static_cast<int>(cols_), errors_.data(), kTile, 1.0F, weight(end), kTile);
      }
    }
  }

  /// Packed codes of the first `rows` rows, columns in their original order.
  void store(int64_t rows, uint8_t* packed) const {
    for (int64_t j = 0; j < cols_ / 2; ++j) {
      const uint8_t* low = codes_.data() + 2 * j * kTile;
      const uint8_t* high = low + kTile;
      for (int64_t r = 0; r < rows; ++r) {
        packed[r * (cols_ / 2) + j] = static_cast<uint8_t>(low[r] | (high[r] << 4));
      }
    }
  }

 private:
  float* weight(int64_t place) { return weights_.data() + place * kTile; }
  float* scale(int64_t group) { return scales_.data() + group * kTile; }
  float upper(int64_t i, int64_t j) const { return factor_.upper[i * cols_ + j]; }

  template <typename Rounding>
  void quantize_column(int64_t place, float* error) {
    const int64_t column = factor_.order[place];
    const float* w = weight(place);
    const float* s = scale(column / scheme_.group_size);
    uint8_t* codes = codes_.data() + column * kTile;
    // A dead column passes no error on.
    const bool dead = factor_.dead[column] != 0;
    const float diagonal = upper(place, place);
    for (int64_t r = 0; r < kTile; ++r) {
      const float rounded = Rounding::value(w[r] / s[r]);
      codes[r] = Rounding::code(rounded);
      error[r] = dead ? 0.0F : (w[r] - dequantized(rounded, s[r])) / diagonal;
    }
  }

  static void subtract(float* w, float factor, const float* error) {
    for (int64_t r = 0; r < kTile; ++r) {
      w[r] -= factor * error[r];
    }
  }

  const QuantScheme scheme_;
  const SolveFactor factor_;
  const int64_t cols_;
  std::vector<float> weights_;  // [cols, kTile], places in permuted order
  std::vector<float> scales_;   // [groups, kTile]
  std::vector<float> errors_;   // [kBlock, kTile]
  std::vector<uint8_t> codes_;  // [cols, kTile], original columns
};

template <typename Rounding>
void round_group(const float* w, int64_t count, float scale, uint8_t* codes) {
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = Rounding::code(Rounding::value(w[i] / scale));
  }
}

}  // namespace

Status solve_rows(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                  const float* effective, const SolveFactor& factor, uint8_t* codes,
                  Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_finite("weight", w, rows, cols));
  const int64_t groups = cols / scheme.group_size;
  parallel.for_each((rows + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t begin = tile * kTile;
    const int64_t count = std::min(kTile, rows - begin);
    TileSolver solver(scheme, factor, cols);
    solver.load(w + begin * cols, effective + begin * groups, count);
    with_rounding(scheme.format, [&](auto rounding) { solver.solve<decltype(rounding)>(); });
    solver.store(count, codes + begin * (cols / 2));
  });
  return {};
}

Status round_rows(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                  const float* effective, uint8_t* codes, Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_finite("weight", w, rows, cols));
  const int64_t groups = cols / scheme.group_size;
  parallel.for_each(rows, [&](int64_t row) {
    std::vector<uint8_t> row_codes(static_cast<size_t>(cols));
    with_rounding(scheme.format, [&](auto rounding) {
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t begin = g * scheme.group_size;
        round_group<decltype(rounding)>(w + row * cols + begin, scheme.group_size,
                                        effective[row * groups + g], row_codes.data() + begin);
      }
    });
    pack_nibbles(row_codes.data(), cols, codes + row * (cols / 2));
  });
  return {};
}

}  // namespace rotor
