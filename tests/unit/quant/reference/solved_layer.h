// A random layer with everything that the library makes of it, for tests of the solver and of what
// comes after it.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/gptq/solve.h"
#include "tests/unit/quant/reference/problems.h"
#include "tests/unit/quant/reference/textbook_gptq.h"

namespace rotor::reference {

struct Solved {
  LayerProblem problem;
  QuantScheme scheme;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> effective;  // by mse search
  std::vector<float> upper;      // at damping 0.01
  std::vector<int32_t> order;
  std::vector<uint8_t> dead;
  std::vector<uint8_t> gptq;     // codes, packed
  std::vector<uint8_t> nearest;  // codes by rounding to nearest, packed

  SolveFactor factor() const { return {upper.data(), order.data(), dead.data()}; }
};

Solved solve(LayerProblem problem, int64_t rows, int64_t cols, Format format, bool act_order);
Solved solve(const ProblemShape& shape, Format format, bool act_order = true);

/// The same layer and scales as a textbook problem.
TextbookProblem textbook(const Solved& solved, bool act_order);

/// The code values of packed codes.
std::vector<double> values_of(const Solved& solved, const std::vector<uint8_t>& packed);

}  // namespace rotor::reference
