// The order in which the solver takes a weight's columns, from the diagonal of its Hessian
// (algorithm.md section 3).
//
// Thread-safety: pure functions. Cost: one sort of the columns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "quant/base/status.h"

namespace rotor {

struct ColumnOrder {
  double mean = 1.0;  // of the diagonal over live columns; 1 where there are none
  int64_t dead = 0;   // columns whose input was always zero
};

/// Writes order [n] (order[i] is the column at place i: by descending diagonal, stable by index, or
/// as they are) and dead [n] by column (1 where the diagonal is 0, or below it by rounding; in
/// act-order they come last). Errors: INVALID_ARGUMENT (BAD_HESSIAN) for a diagonal that no sum of
/// squares has.
Result<ColumnOrder> order_columns(std::span<const float> diagonal, bool act_order, int32_t* order,
                                  uint8_t* dead);

/// The mean of a Hessian's diagonal over live columns; 1 where there are none.
double mean_live(std::span<const float> diagonal);

/// The next step of the damping ladder: tenfold, up to 1.
inline double next_damping(double damping) {
  return std::min(damping * 10.0, 1.0);
}

}  // namespace rotor
