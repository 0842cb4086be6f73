#include "tests/unit/quant/reference/problems.h"

#include <cmath>
#include <random>

namespace rotor::reference {

LayerProblem make_layer_problem(const ProblemShape& shape) {
  std::mt19937 generator(shape.seed);
  std::normal_distribution<double> normal;
  const auto n = static_cast<size_t>(shape.cols);
  const auto tokens = static_cast<size_t>(shape.tokens);
  const size_t factors = std::max<size_t>(n / 4, 1);

  std::vector<double> mixing(factors * n);
  for (size_t f = 0; f < factors; ++f) {
    const double strength = 3.0 / std::sqrt(1.0 + static_cast<double>(f));
    for (size_t c = 0; c < n; ++c) {
      mixing[f * n + c] = strength * normal(generator);
    }
  }
  std::vector<double> channel(n);
  for (double& value : channel) {
    value = std::exp(0.7 * normal(generator));
  }
  for (int64_t d = 0; d < shape.dead_columns; ++d) {
    channel[static_cast<size_t>((d * 37 + 5) % shape.cols)] = 0.0;
  }

  LayerProblem problem;
  std::vector<double> hessian(n * n);
  std::vector<double> x(n);
  for (size_t t = 0; t < tokens; ++t) {
    for (double& value : x) {
      value = normal(generator);
    }
    for (size_t f = 0; f < factors; ++f) {
      const double weight = normal(generator);
      for (size_t c = 0; c < n; ++c) {
        x[c] += weight * mixing[f * n + c];
      }
    }
    for (size_t c = 0; c < n; ++c) {
      x[c] *= channel[c];
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        hessian[i * n + j] += x[i] * x[j] / static_cast<double>(tokens);
      }
    }
  }
  problem.hessian.resize(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      problem.hessian[i * n + j] = problem.hessian[j * n + i] =
          static_cast<float>(hessian[i * n + j]);
    }
  }
  std::student_t_distribution<double> heavy(6.0);
  problem.weights.resize(static_cast<size_t>(shape.rows) * n);
  for (float& value : problem.weights) {
    value = static_cast<float>(0.02 * heavy(generator));
  }
  return problem;
}

QuantScheme test_scheme(Format format) {
  return *make_scheme(format, format == Format::kInt4 ? 32 : 0, DType::kBf16);
}

}  // namespace rotor::reference
