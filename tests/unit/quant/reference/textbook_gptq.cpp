#include "tests/unit/quant/reference/textbook_gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rotor::reference {
namespace {

using Matrix = std::vector<std::vector<double>>;

Matrix inverse(Matrix a) {
  const size_t n = a.size();
  Matrix result(n, std::vector<double>(n, 0.0));
  for (size_t i = 0; i < n; ++i) {
    result[i][i] = 1.0;
  }
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i][k]) > std::fabs(a[pivot][k])) {
        pivot = i;
      }
    }
    std::swap(a[k], a[pivot]);
    std::swap(result[k], result[pivot]);
    const double scale = 1.0 / a[k][k];
    for (size_t j = 0; j < n; ++j) {
      a[k][j] *= scale;
      result[k][j] *= scale;
    }
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i][k];
      if (i == k || factor == 0.0) {
        continue;
      }
      for (size_t j = 0; j < n; ++j) {
        a[i][j] -= factor * a[k][j];
        result[i][j] -= factor * result[k][j];
      }
    }
  }
  return result;
}

double nearest(const std::vector<double>& values, double x) {
  return *std::min_element(values.begin(), values.end(),
                           [x](double a, double b) { return std::fabs(a - x) < std::fabs(b - x); });
}

}  // namespace

std::vector<double> textbook_gptq(const TextbookProblem& problem) {
  const auto n = static_cast<size_t>(problem.cols);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto diagonal = [&](size_t c) { return problem.hessian[c * n + c]; };
  if (problem.act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return diagonal(a) > diagonal(b); });
  }
  double sum = 0.0;
  size_t live = 0;
  for (size_t c = 0; c < n; ++c) {
    sum += diagonal(c);
    live += diagonal(c) > 0.0 ? 1 : 0;
  }
  Matrix damped(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      damped[i][j] = problem.hessian[order[i] * n + order[j]];
    }
    damped[i][i] += problem.damping * sum / static_cast<double>(live);
    if (diagonal(order[i]) == 0.0) {
      damped[i][i] = 1.0;
    }
  }
  Matrix remaining = inverse(damped);

  Matrix w(static_cast<size_t>(problem.rows), std::vector<double>(n));
  for (size_t r = 0; r < w.size(); ++r) {
    for (size_t i = 0; i < n; ++i) {
      w[r][i] = problem.weights[r * n + order[i]];
    }
  }
  std::vector<double> chosen(problem.weights.size());
  for (size_t i = 0; i < n; ++i) {
    const double pivot = remaining[i][i];
    for (size_t r = 0; r < w.size(); ++r) {
      const double scale = problem.scales[r * n + order[i]];
      const double value = nearest(problem.values, w[r][i] / scale);
      chosen[r * n + order[i]] = value;
      const double error = (w[r][i] - value * scale) / pivot;
      for (size_t j = i + 1; j < n; ++j) {
        w[r][j] -= error * remaining[i][j];
      }
    }
    for (size_t a = i + 1; a < n; ++a) {
      const double factor = remaining[a][i] / pivot;
      for (size_t b = i + 1; b < n; ++b) {
        remaining[a][b] -= factor * remaining[i][b];
      }
    }
  }
  return chosen;
}

double textbook_error(const TextbookProblem& problem, const std::vector<double>& code_values) {
  const auto n = static_cast<size_t>(problem.cols);
  double total = 0.0;
  std::vector<double> d(n);
  for (size_t r = 0; r < static_cast<size_t>(problem.rows); ++r) {
    for (size_t c = 0; c < n; ++c) {
      const size_t at = r * n + c;
      d[c] = problem.weights[at] - code_values[at] * problem.scales[at];
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        total += d[i] * problem.hessian[i * n + j] * d[j];
      }
    }
  }
  return total;
}

}  // namespace rotor::reference
