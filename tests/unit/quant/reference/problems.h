// Random problems that look like a linear layer's: correlated inputs of very different strength,
// and weights with a few large ones.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/scheme.h"

namespace rotor::reference {

struct ProblemShape {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t tokens = 0;        // fewer than cols: a Hessian that lacks rank
  int64_t dead_columns = 0;  // inputs that are always zero, spread over the width
  unsigned seed = 1;
};

struct LayerProblem {
  std::vector<float> weights;  // [rows, cols]
  std::vector<float> hessian;  // [cols, cols] = X^T X / tokens
};

LayerProblem make_layer_problem(const ProblemShape& shape);

/// NVFP4, MXFP4, INT4 with groups of 32 and BF16 scales.
QuantScheme test_scheme(Format format);

}  // namespace rotor::reference
