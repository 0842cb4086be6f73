// Checks that the operands of a backend operation fit each other. A failed check is a mistake of
// the code that called, never of a user: INTERNAL.
#pragma once

#include <string>
#include <string_view>

#include "quant/base/status.h"
#include "worker/backend/backend.h"
#include "worker/backend/tensor.h"

namespace rotor::worker {

inline Status expect(bool fits, std::string_view operation) {
  return fits ? Status()
              : internal_error("operands of " + std::string(operation) + " do not fit each other");
}

inline bool is_f32(const Tensor& tensor, int64_t rows, int64_t cols) {
  return tensor.dtype() == DType::kF32 && tensor.rows() == rows && tensor.cols() == cols;
}

inline bool is_wide_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

inline bool fits_rope(const Tensor& x, const RopeShape& shape, const Tensor& cos,
                      const Tensor& sin) {
  return shape.head_dim > 0 && x.cols() % shape.head_dim == 0 && shape.seq_len > 0 &&
         cos.rows() >= shape.seq_len && is_f32(cos, sin.rows(), sin.cols()) &&
         is_f32(sin, cos.rows(), cos.cols()) && shape.first >= 0 &&
         shape.first + 2 * cos.cols() <= shape.head_dim;
}

inline bool fits_runs(const Tensor& x, const ColumnRuns& runs, int64_t heads, int64_t width) {
  return heads > 0 && width > 0 && runs.first >= 0 && runs.step >= 0 &&
         runs.first + (heads - 1) * runs.step + width <= x.cols();
}

inline bool has_shape(const Tensor& tensor, DType dtype, int64_t rows, int64_t cols) {
  return tensor.dtype() == dtype && tensor.rows() == rows && tensor.cols() == cols;
}

inline bool fits_convolution(const Tensor& x, const Tensor& weight, int64_t seq_len,
                             const Tensor& out) {
  return has_shape(out, x.dtype(), x.rows(), x.cols()) && weight.rows() == x.cols() &&
         weight.cols() > 0 && is_wide_float(weight.dtype()) && seq_len > 0 &&
         x.rows() % seq_len == 0;
}

inline bool fits_delta(const DeltaShape& shape, const Tensor& mixed, const Tensor& beta,
                       const Tensor& alpha, const Tensor& decay, const Tensor& step,
                       const Tensor& out) {
  const int64_t tokens = shape.sequences * shape.seq_len;
  const int64_t heads = shape.value_heads;
  return shape.key_heads > 0 && heads % shape.key_heads == 0 &&
         has_shape(mixed, out.dtype(), tokens, shape.mixed_features()) &&
         has_shape(beta, out.dtype(), tokens, heads) &&
         has_shape(alpha, out.dtype(), tokens, heads) && decay.size() == heads &&
         step.size() == heads && has_shape(out, out.dtype(), tokens, shape.value_features());
}

inline bool fits_gate(const Tensor& x, const Tensor& gate) {
  return gate.dtype() == x.dtype() && gate.rows() == x.rows() &&
         (gate.cols() == x.cols() || gate.cols() == 1);
}

inline bool fits_rule(const RouterWeights& router, const RoutingRule& rule) {
  return router.weight.rows() == rule.experts && rule.per_token >= 1 &&
         rule.per_token <= rule.experts && rule.groups >= 1 && rule.experts % rule.groups == 0 &&
         rule.groups_chosen >= 1 && rule.groups_chosen <= rule.groups &&
         rule.per_token <= rule.experts / rule.groups * rule.groups_chosen &&
         (router.bias.empty() || router.bias.size() == rule.experts) &&
         router.correction.empty() != rule.corrected &&
         (!rule.corrected || router.correction.size() == rule.experts) &&
         (rule.score == ScoreRule::kSigmoid || (!rule.corrected && rule.groups == 1));
}

}  // namespace rotor::worker
