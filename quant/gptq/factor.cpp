#include "quant/gptq/factor.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "quant/format/finite.h"
#include "quant/gptq/column_order.h"
#include "quant/gptq/factor_sweep.h"

namespace rotor {
namespace {

/// The Hessian seen in the order of quantization, with its dead inputs and their place taken out.
struct Problem {
  const float* hessian;
  int64_t n;
  std::vector<float> diagonal;  // by original column
  double mean = 1.0;            // of the diagonal over live columns
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

/// The diagonal element at `column` with damping; dead inputs count as the mean of the others.
float damped(const Problem& problem, int32_t column, double damping) {
  const double value = problem.dead[column] != 0
                           ? problem.mean
                           : double{problem.diagonal[static_cast<size_t>(column)]};
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
  Problem problem{hessian, n, std::vector<float>(static_cast<size_t>(n)), 1.0, order, dead};
  for (int64_t c = 0; c < n; ++c) {
    problem.diagonal[static_cast<size_t>(c)] = hessian[c * n + c];
  }
  ROTOR_ASSIGN_OR_RETURN(const ColumnOrder columns,
                         order_columns(problem.diagonal, settings.act_order, order, dead));
  problem.mean = columns.mean;

  FactorReport report;
  report.dead_columns = columns.dead;
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
    damping = next_damping(damping);
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
