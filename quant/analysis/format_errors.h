// What rounding to nearest in a format does to values, before any solver: the errors by which
// "Bridging the Gap Between Promise and Performance for Microscaling FP4 Quantization" (arXiv
// 2509.23202) compares formats and rotations in its section 3.
//
// Its definitions, X a group of G values and X^ what quantization leaves of it:
//   definition 4   MSE^rel     = E[ sum (X_i - X^_i)^2 / sum X_i^2 ]
//                  MSE^rel_top = E[ (X_t - X^_t)^2 / X_t^2 ],  t the place of the largest |X_i|
// Rotated, X^ = Q(X R) R, and the top element is that of X, before the rotation (lemma 1).
// What its lemmas say of them, which the tests hold these functions against:
//   lemma 1   of rotated Normal values, one group a block: E[(X_t - X^_t)^2] = E[(X_i - X^_i)^2];
//             not rotated and with a scale that is not rounded the top element has no error
//   lemma 2   1 - MSE(G) of values of variance 1 falls as (log G)^2 G^-d (Laplace) and as
//             sqrt(log G) G^-(d^2) (Normal), d half the smallest code over the largest: 1/24 of
//             E2M1
//   lemma 4   not rotated, and with scales that are powers of two, MSE^rel_top hardly depends on G:
//             about the integral of (x - Q(x))^2 / x^2 over [1, 2]
//
// The mean over groups of a ratio counts groups of small values as much as others. What an error
// does to a product of the whole row goes by the sums instead: total() is sum (X - X^)^2 / sum X^2.
//
// Thread-safety: pure functions. Errors: those of search_scales and rotate_rows. Cost: three
// buffers of the size of the rows beside them.
#pragma once

#include <cstdint>
#include <limits>

#include "quant/base/parallel.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

/// Sums, so that those of several matrices can be added. A group of zeros counts nowhere.
struct FormatErrors {
  int64_t groups = 0;
  double squares = 0.0;            // of the values
  double squared_error = 0.0;      // of what rounding changed
  double group_ratios = 0.0;       // sum over groups of error over squares, as they are rounded
  double top_squared_error = 0.0;  // of the groups' largest elements
  double top_ratios = 0.0;         // each over the element's square
  /// The largest magnitudes of the groups as they are rounded: the least of them and the greatest.
  double least_peak = std::numeric_limits<double>::infinity();
  double greatest_peak = 0.0;

  void add(const FormatErrors& other);
  double total() const;         // 0 where there is nothing
  double relative() const;      // MSE^rel
  double top() const;           // MSE^rel_top
  double top_absolute() const;  // E[(X_t - X^_t)^2]
  /// log2 of the greatest peak over the least: the range that scales have to cover, as in the
  /// paper's figure 4. E4M3 has 14.8 octaves of normal numbers.
  double octaves() const;
};

/// Rows [rows, cols] F32, and the same rotated in blocks of `block` columns; 0: `rotated` is
/// `original`.
struct RotatedRows {
  const float* original = nullptr;
  const float* rotated = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t block = 0;
};

/// As weights are rounded: scales by `search` among those that can be stored. cols is a multiple of
/// the group.
Result<FormatErrors> weight_errors(const RotatedRows& w, const QuantScheme& scheme,
                                   float global_scale, ScaleSearch search, Parallel& parallel);

/// As engines round activations (quant/format/activations.h).
Result<FormatErrors> input_errors(const RotatedRows& x, const QuantScheme& scheme,
                                  float input_global_scale, Parallel& parallel);

}  // namespace rotor
