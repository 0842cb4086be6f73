// The scale of each group of weights, searched among the values that can be stored (algorithm.md
// section 2).
//
// Thread-safety: pure functions. Results of a row depend on that row alone. Cost: absmax one pass,
// mse one pass over the group a candidate (8 to 20 of them); a few hundred bytes of stack.
#pragma once

#include <cstdint>
#include <span>

#include "quant/base/parallel.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

/// NVFP4's G = 2688 / amax = 448 * 6 / amax, F32. amax is the largest |w| over all modules that an
/// engine fuses. An all-zero weight gets 1. Clamped so that both G and the smallest stored scale
/// over G are normal F32 numbers: amax below 2^-100 or above 2^100 no longer fills the range of
/// E4M3, and nothing else changes. `amax` is finite and not negative.
float nvfp4_global_scale(float amax);

struct ScaleOptions {
  ScaleSearch search = ScaleSearch::kMse;
  /// Weight d_c of column c in the sum that mse minimizes, >= 0 and finite: diag(H') for `hessian`.
  /// Empty: all 1. One for each column otherwise.
  std::span<const float> column_weights = {};
};

/// Scales of w [rows, cols] F32: `stored` [rows, cols/group_size] elements of scheme.scale_dtype as
/// bytes, `effective` [rows, cols/group_size] F32 = decode(stored) / global_scale. Every stored
/// scale is finite and positive; an all-zero group gets the smallest positive one.
///
/// absmax: NVFP4 and INT4 the storable scale nearest to absmax/6, absmax/7.5; MXFP4 the smallest
/// that does not clip. mse: the candidate with the least sum over the group of d_c (w_c -
/// Q(w_c))^2; the larger scale wins a tie. Candidates: NVFP4 every byte from a quarter of absmax's
/// to two steps above it; MXFP4 the exponent of absmax, two below and one above; INT4 absmax/7.5
/// times 1.12, 1.08, ..., 0.40 and the scale of the clipless grid, each rounded to scale_dtype
/// first.
///
/// Errors: INVALID_ARGUMENT naming the first row and column whose weight is not finite, or where
/// the shapes do not fit.
Status search_scales(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                     float global_scale, const ScaleOptions& options, uint8_t* stored,
                     float* effective, Parallel& parallel);

}  // namespace rotor
