// The scale of each group of weights, searched among the values that can be stored (algorithm.md
// section 2).
//
// Thread-safety: pure functions. Results of a row depend on that row alone. Cost: absmax one pass,
// mse one pass over the group a candidate (4 to 24 of them); scratch of eight groups a thread.
#pragma once

#include <cstdint>
#include <span>

#include "quant/base/parallel.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

/// NVFP4's G = 2688 / amax = 448 * 6 / amax, F32. amax is the largest |w| over all modules that an
/// engine fuses, finite and not negative. An all-zero weight gets 1. Below 2^-100 amax counts as
/// 2^-100, which keeps G and the smallest stored scale over G normal F32 numbers.
float nvfp4_global_scale(float amax);

/// The global scale that goes with weights (or inputs) of largest magnitude amax, in the direction
/// of scheme.global: NVFP4's G or amax / 2688 (1 and 2^-100 / 2688 at the ends, as above); 3 and 1
/// where it is fixed.
float global_scale_for(const QuantScheme& scheme, float amax);

struct ScaleOptions {
  ScaleSearch search = ScaleSearch::kMse;
  /// Weight d_c of column c in the sum that mse minimizes, >= 0 and finite: diag(H') for `hessian`.
  /// Empty: all 1. One for each column otherwise.
  std::span<const float> column_weights = {};
};

/// Scales of w [rows, cols] F32: `stored` [rows, cols/group_size] elements of scheme.scale_dtype as
/// bytes, `effective` [rows, cols/group_size] F32 what they are worth with global_scale. Every
/// stored scale is finite and positive; a group of zeros (or of subnormal numbers) gets the
/// smallest one.
///
/// - absmax: NVFP4 and INT4 the storable scale nearest to absmax/6, absmax/7.5; MXFP4 the one that
///   engines choose for activations.
/// - mse: of the candidates in scales/candidates.h, the one with the least sum over the group of
///   d_c (w_c - Q(w_c))^2; the larger scale wins a tie.
///
/// Errors: INVALID_ARGUMENT naming the first row and column whose weight is not finite, or where
/// the shapes do not fit.
Status search_scales(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                     float global_scale, const ScaleOptions& options, uint8_t* stored,
                     float* effective, Parallel& parallel);

}  // namespace rotor
