// GPTQ straight from its definition, in F64: the explicit inverse Hessian, one column at a time,
// the column removed from the inverse by Gaussian elimination after it is quantized. No Cholesky
// factor, no blocks, nothing shared with the library.
#pragma once

#include <cstdint>
#include <vector>

namespace rotor::reference {

struct TextbookProblem {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<double> weights;  // [rows, cols]
  std::vector<double> hessian;  // [cols, cols], undamped
  std::vector<double> scales;   // [rows, cols], the scale of each weight's group
  std::vector<double> values;   // what a code can stand for, ascending
  double damping = 0.01;
  bool act_order = true;
};

/// The chosen code value of each weight, [rows, cols].
std::vector<double> textbook_gptq(const TextbookProblem& problem);

/// tr(D H D^T) of D = weights - code_values * scales.
double textbook_error(const TextbookProblem& problem, const std::vector<double>& code_values);

}  // namespace rotor::reference
