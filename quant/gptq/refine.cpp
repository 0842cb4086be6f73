#include "quant/gptq/refine.h"

#include <cblas.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "quant/format/codes.h"
#include "quant/format/finite.h"
#include "quant/format/rounding.h"
#include "quant/gptq/column_order.h"
#include "quant/gptq/solve.h"

namespace rotor {
namespace {

constexpr int64_t kTile = kSolveRowTile;
constexpr int64_t kBlock = 128;  // columns between two updates of the whole gradient

/// One tile of rows, transposed as in the solver: a column is kTile consecutive floats.
class TileRefiner {
 public:
  TileRefiner(const QuantScheme& scheme, const float* hessian, float damping, int64_t cols)
      : scheme_(scheme),
        hessian_(hessian),
        damping_(damping),
        cols_(cols),
        values_(static_cast<size_t>(cols * kTile)),
        gradient_(values_.size()),
        scales_(static_cast<size_t>(cols / scheme.group_size * kTile)),
        moves_(static_cast<size_t>(kBlock * kTile)),
        block_gradient_(moves_.size()),
        codes_(values_.size()) {}

  /// Lanes beyond `rows` hold zeros and stay so: the shape of a product may decide its rounding.
  void load(const float* w, const float* effective, const uint8_t* packed, int64_t rows) {
    const std::array<float, 16>& code_value = code_values(scheme_.format);
    const int64_t groups = cols_ / scheme_.group_size;
    std::vector<float> difference(values_.size());
    std::fill(scales_.begin(), scales_.end(), 1.0F);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t g = 0; g < groups; ++g) {
        const float scale = effective[r * groups + g];
        scales_[static_cast<size_t>(g * kTile + r)] = scale;
        for (int64_t c = g * scheme_.group_size; c < (g + 1) * scheme_.group_size; ++c) {
          const auto at = static_cast<size_t>(c * kTile + r);
          const uint8_t pair = packed[r * (cols_ / 2) + c / 2];
          codes_[at] = c % 2 == 0 ? pair & 15U : pair >> 4;
          values_[at] = dequantized(code_value[codes_[at]], scale);
          difference[at] = w[r * cols_ + c] - values_[at];
        }
      }
    }
    std::transform(difference.begin(), difference.end(), gradient_.begin(),
                   [this](float d) { return damping_ * d; });
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(cols_), kTile,
                static_cast<int>(cols_), 1.0F, hessian_, static_cast<int>(cols_), difference.data(),
                kTile, 1.0F, gradient_.data(), kTile);
  }

  /// One pass over all columns; whether any code moved.
  template <typename Rounding>
  bool pass() {
    bool moved = false;
    for (int64_t begin = 0; begin < cols_; begin += kBlock) {
      const int64_t width = std::min(kBlock, cols_ - begin);
      // Columns of the block see each other's moves in a copy; one product then brings them to all.
      std::copy_n(gradient(begin), width * kTile, block_gradient_.data());
      bool block_moved = false;
      for (int64_t c = 0; c < width; ++c) {
        if (!move_column<Rounding>(begin, c)) {
          continue;
        }
        block_moved = true;
        for (int64_t j = c + 1; j < width; ++j) {
          subtract(block_gradient(j), hessian(begin + c, begin + j), move(c));
        }
      }
      if (block_moved) {
        apply_moves(begin, width);
        moved = true;
      }
    }
    return moved;
  }

  void store(int64_t rows, uint8_t* packed) const {
    for (int64_t j = 0; j < cols_ / 2; ++j) {
      const uint8_t* low = codes_.data() + 2 * j * kTile;
      for (int64_t r = 0; r < rows; ++r) {
        packed[r * (cols_ / 2) + j] = static_cast<uint8_t>(low[r] | (low[kTile + r] << 4));
      }
    }
  }

 private:
  float* gradient(int64_t column) { return gradient_.data() + column * kTile; }
  float* block_gradient(int64_t c) { return block_gradient_.data() + c * kTile; }
  float* move(int64_t c) { return moves_.data() + c * kTile; }
  float hessian(int64_t i, int64_t j) const { return hessian_[i * cols_ + j]; }

  /// Sets column begin + c of all rows to its best codes; whether any changed.
  template <typename Rounding>
  bool move_column(int64_t begin, int64_t c) {
    const int64_t column = begin + c;
    const float* g = block_gradient(c);
    const float* s = scales_.data() + column / scheme_.group_size * kTile;
    const float diagonal = hessian(column, column) + damping_;
    float* value = values_.data() + column * kTile;
    uint8_t* codes = codes_.data() + column * kTile;
    float* moves = move(c);
    float largest = 0.0F;
    for (int64_t r = 0; r < kTile; ++r) {
      const float rounded = Rounding::value((value[r] + g[r] / diagonal) / s[r]);
      const float next = dequantized(rounded, s[r]);
      codes[r] = Rounding::code(rounded);
      moves[r] = next - value[r];
      value[r] = next;
    }
    for (int64_t r = 0; r < kTile; ++r) {
      largest = std::max(largest, std::abs(moves[r]));
    }
    return largest > 0.0F;
  }

  /// gradient -= (H + damping) moves, for the moves of one block of columns.
  void apply_moves(int64_t begin, int64_t width) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(cols_), kTile,
                static_cast<int>(width), -1.0F, hessian_ + begin * cols_, static_cast<int>(cols_),
                moves_.data(), kTile, 1.0F, gradient_.data(), kTile);
    for (int64_t c = 0; c < width; ++c) {
      subtract(gradient(begin + c), damping_, move(c));
    }
  }

  static void subtract(float* g, float factor, const float* move) {
    for (int64_t r = 0; r < kTile; ++r) {
      g[r] -= factor * move[r];
    }
  }

  const QuantScheme scheme_;
  const float* const hessian_;
  const float damping_;  // absolute
  const int64_t cols_;
  std::vector<float> values_;          // [cols, kTile], dequantized
  std::vector<float> gradient_;        // [cols, kTile], (w - values) (H + damping)
  std::vector<float> scales_;          // [groups, kTile]
  std::vector<float> moves_;           // [kBlock, kTile]
  std::vector<float> block_gradient_;  // [kBlock, kTile]
  std::vector<uint8_t> codes_;         // [cols, kTile]
};

/// damping * mean(diag(H)), the mean taken over live inputs as the factor does.
double absolute_damping(const float* hessian, int64_t n, double damping) {
  std::vector<float> diagonal(static_cast<size_t>(n));
  for (int64_t c = 0; c < n; ++c) {
    diagonal[static_cast<size_t>(c)] = hessian[c * n + c];
  }
  return damping * mean_live(diagonal);
}

}  // namespace

Status refine_rows(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                   const float* effective, const float* hessian, const RefineOptions& options,
                   uint8_t* codes, Parallel& parallel) {
  if (options.passes < 1 || !(options.damping > 0.0)) {
    return invalid_argument("refinement with " + std::to_string(options.passes) +
                            " passes and damping " + std::to_string(options.damping) +
                            ": choose one pass or more, and a damping above 0")
        .with_reason("BAD_REFINEMENT");
  }
  ROTOR_RETURN_IF_ERROR(check_finite("weight", w, rows, cols));
  const auto damping = static_cast<float>(absolute_damping(hessian, cols, options.damping));
  const int64_t groups = cols / scheme.group_size;
  parallel.for_each((rows + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t begin = tile * kTile;
    const int64_t count = std::min(kTile, rows - begin);
    uint8_t* tile_codes = codes + begin * (cols / 2);
    TileRefiner refiner(scheme, hessian, damping, cols);
    refiner.load(w + begin * cols, effective + begin * groups, tile_codes, count);
    with_rounding(scheme.format, [&](auto rounding) {
      for (int pass = 0; pass < options.passes; ++pass) {
        if (!refiner.pass<decltype(rounding)>()) {
          break;
        }
      }
    });
    refiner.store(count, tile_codes);
  });
  return {};
}

}  // namespace rotor
