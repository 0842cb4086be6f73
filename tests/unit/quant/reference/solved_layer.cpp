#include "tests/unit/quant/reference/solved_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quant/format/codes.h"
#include "quant/gptq/factor.h"
#include "quant/scales/scale_search.h"

namespace rotor::reference {

Solved solve(LayerProblem problem, int64_t rows, int64_t cols, Format format, bool act_order) {
  Solved s{std::move(problem), test_scheme(format), rows, cols, {}, {}, {}, {}, {}, {}};
  const auto k = static_cast<size_t>(cols);
  const auto n = static_cast<size_t>(rows);
  const auto groups = static_cast<size_t>(cols / s.scheme.group_size);
  SerialParallel serial;
  float amax = 0.0F;
  for (const float value : s.problem.weights) {
    amax = std::max(amax, std::abs(value));
  }
  const float global = format == Format::kNvfp4 ? nvfp4_global_scale(amax) : 1.0F;
  std::vector<uint8_t> stored(n * groups * static_cast<size_t>(dtype_size(s.scheme.scale_dtype)));
  s.effective.resize(n * groups);
  EXPECT_TRUE(search_scales(s.problem.weights.data(), rows, cols, s.scheme, global, {},
                            stored.data(), s.effective.data(), serial)
                  .ok());
  s.upper.resize(k * k);
  s.order.resize(k);
  s.dead.resize(k);
  EXPECT_TRUE(factorize_hessian(s.problem.hessian.data(), cols, {0.01, act_order}, s.upper.data(),
                                s.order.data(), s.dead.data(), serial)
                  .ok());
  s.gptq.resize(n * k / 2);
  s.nearest.resize(n * k / 2);
  EXPECT_TRUE(solve_rows(s.problem.weights.data(), rows, cols, s.scheme, s.effective.data(),
                         s.factor(), s.gptq.data(), serial)
                  .ok());
  EXPECT_TRUE(round_rows(s.problem.weights.data(), rows, cols, s.scheme, s.effective.data(),
                         s.nearest.data(), serial)
                  .ok());
  return s;
}

Solved solve(const ProblemShape& shape, Format format, bool act_order) {
  return solve(make_layer_problem(shape), shape.rows, shape.cols, format, act_order);
}

TextbookProblem textbook(const Solved& s, bool act_order) {
  TextbookProblem problem{s.rows, s.cols, {}, {}, {}, {}, 0.01, act_order};
  problem.weights.assign(s.problem.weights.begin(), s.problem.weights.end());
  problem.hessian.assign(s.problem.hessian.begin(), s.problem.hessian.end());
  for (size_t i = 0; i < problem.weights.size(); ++i) {
    problem.scales.push_back(
        static_cast<double>(s.effective[i / static_cast<size_t>(s.scheme.group_size)]));
  }
  for (const float value : code_values(s.scheme.format)) {
    problem.values.push_back(static_cast<double>(value));
  }
  return problem;
}

std::vector<double> values_of(const Solved& s, const std::vector<uint8_t>& packed) {
  std::vector<uint8_t> codes(packed.size() * 2);
  unpack_nibbles(packed.data(), static_cast<int64_t>(codes.size()), codes.data());
  std::vector<double> values;
  for (const uint8_t code : codes) {
    values.push_back(static_cast<double>(code_values(s.scheme.format)[code]));
  }
  return values;
}

}  // namespace rotor::reference
