#include "quant/gptq/factor.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "quant/format/finite.h"
#include "quant/gptq/factor_sweep.h"

namespace rotor {
namespace {

/// The Hessian seen in the order of quantization, with its dead inputs and their place taken out.
struct Problem {
  const float* hessian;
  int64_t n;
  std::vector<double> diagonal;  // by original column; 0 where dead
  double mean = 1.0;             // of the diagonal over live columns
  const int32_t* order;
  const uint8_t* dead;
};

Status check_arguments(const float* hessian, int64_t n, const FactorSettings& settings) {
  if (!(settings.damping > 0.0 && settings.damping <= 1.0)) {
    return invalid_argument("damping " + std::to_string(settings.damping) +
                            ": choose a share of the mean diagonal in (0, 1], such as 0.01")
        .with_reason("BAD_DAMPING");
  }
  for (int64_t row = 0; row < n; ++row) {
    if (first_non_finite(hessian + row * n, row + 1) >= 0) {
      return check_finite("Hessian", hessian, row + 1, n);
    }
  }
  return {};
}

/// Finds dead inputs. A rotation may leave a direction without input slightly below zero by
/// rounding; what is further below is no Gram matrix.
Status find_dead(Problem& problem, uint8_t* dead) {
  constexpr double kRounding = 1e-4;  // of the largest diagonal element
  double largest = 0.0;
  double lowest = 0.0;
  double sum = 0.0;
  int64_t live = 0;
  for (int64_t c = 0; c < problem.n; ++c) {
    const auto value = static_cast<double>(problem.hessian[c * problem.n + c]);
    dead[c] = value > 0.0 ? 0 : 1;
    problem.diagonal[static_cast<size_t>(c)] = std::max(value, 0.0);
    largest = std::max(largest, value);
    lowest = std::min(lowest, value);
    sum += std::max(value, 0.0);
    live += value > 0.0 ? 1 : 0;
  }
  if (lowest < -kRounding * largest) {
    return invalid_argument("the Hessian has " + std::to_string(lowest) +
                            " on its diagonal: it is not a sum of squares of activations")
        .with_reason("BAD_HESSIAN");
  }
  problem.mean = live == 0 ? 1.0 : sum / static_cast<double>(live);
  return {};
}

void make_order(const Problem& problem, bool act_order, int32_t* order) {
  std::iota(order, order + problem.n, 0);
  if (act_order) {
    std::stable_sort(order, order + problem.n, [&](int32_t a, int32_t b) {
      return problem.diagonal[static_cast<size_t>(a)] > problem.diagonal[static_cast<size_t>(b)];
    });
  }
}

/// The diagonal element at `column` with damping; dead inputs count as the mean of the others.
float damped(const Problem& problem, int32_t column, double damping) {
  const double value =
      problem.dead[column] != 0 ? problem.mean : problem.diagonal[static_cast<size_t>(column)];
  return static_cast<float>(value + damping * problem.mean);
}

/// Lower triangle of J (P H P^T + damping) J: place i of the matrix is place n-1-i of the order.
/// Dead inputs are cut from all others (a rotation may leave them coupled by rounding).
void fill_reversed(const Problem& problem, double damping, float* a, Parallel& parallel) {
  const int64_t n = problem.n;
  parallel.for_each(n, [&](int64_t row) {
    const int32_t r = problem.order[n - 1 - row];
    float* out = a + row * n;
    for (int64_t col = 0; col < row; ++col) {
      const int32_t c = problem.order[n - 1 - col];
      const bool coupled = (problem.dead[r] | problem.dead[c]) == 0;
      out[col] = coupled
                     ? problem.hessian[static_cast<int64_t>(std::max(r, c)) * n + std::min(r, c)]
                     : 0.0F;
    }
    out[row] = damped(problem, r, damping);
    std::fill(out + row + 1, out + n, 0.0F);
  });
}

/// U of the diagonal alone: 1/sqrt of each element.
void fill_diagonal(const Problem& problem, float* upper) {
  std::fill(upper, upper + problem.n * problem.n, 0.0F);
  for (int64_t i = 0; i < problem.n; ++i) {
    upper[i * problem.n + i] = 1.0F / std::sqrt(damped(problem, problem.order[i], 0.0));
  }
}

}  // namespace

Result<FactorReport> factorize_hessian(const float* hessian, int64_t n,
                                       const FactorSettings& settings, float* upper, int32_t* order,
                                       uint8_t* dead, Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_arguments(hessian, n, settings));
  Problem problem{hessian, n, std::vector<double>(static_cast<size_t>(n)), 1.0, order, dead};
  ROTOR_RETURN_IF_ERROR(find_dead(problem, dead));
  make_order(problem, settings.act_order, order);

  FactorReport report;
  report.dead_columns = std::count(dead, dead + n, uint8_t{1});
  if (report.dead_columns == n) {
    report.outcome = FactorOutcome::kFailed;
    return report;
  }
  double damping = settings.damping;
  while (true) {
    fill_reversed(problem, damping, upper, parallel);
    if (invert_cholesky(upper, n, parallel)) {
      // J turns the rows and the columns around: in a dense matrix, the whole array.
      std::reverse(upper, upper + n * n);
      report.damping = damping;
      return report;
    }
    if (damping >= 1.0) {
      break;
    }
    damping = std::min(damping * 10.0, 1.0);
  }
  fill_diagonal(problem, upper);
  report.outcome = FactorOutcome::kDiagonal;
  return report;
}

void solve_costs(const float* upper, const int32_t* order, int64_t n, float* costs) {
  for (int64_t i = 0; i < n; ++i) {
    const float diagonal = upper[i * n + i];
    costs[order[i]] = 1.0F / (diagonal * diagonal);
  }
}

}  // namespace rotor
