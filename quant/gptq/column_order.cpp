#include "quant/gptq/column_order.h"

#include <numeric>
#include <string>

namespace rotor {

double mean_live(std::span<const float> diagonal) {
  double sum = 0.0;
  int64_t live = 0;
  for (const float value : diagonal) {
    sum += std::max(double{value}, 0.0);
    live += value > 0.0F ? 1 : 0;
  }
  return live == 0 ? 1.0 : sum / static_cast<double>(live);
}

Result<ColumnOrder> order_columns(std::span<const float> diagonal, bool act_order, int32_t* order,
                                  uint8_t* dead) {
  // A rotation may leave a direction without input slightly below zero by rounding; what is further
  // below is no Gram matrix.
  constexpr float kRounding = 1e-4F;  // of the largest element
  float largest = 0.0F;
  float lowest = 0.0F;
  ColumnOrder result;
  for (size_t c = 0; c < diagonal.size(); ++c) {
    dead[c] = diagonal[c] > 0.0F ? 0 : 1;
    result.dead += dead[c];
    largest = std::max(largest, diagonal[c]);
    lowest = std::min(lowest, diagonal[c]);
  }
  if (lowest < -kRounding * largest) {
    return invalid_argument("the Hessian has " + std::to_string(lowest) +
                            " on its diagonal: it is not a sum of squares of activations")
        .with_reason("BAD_HESSIAN");
  }
  result.mean = mean_live(diagonal);
  std::iota(order, order + diagonal.size(), 0);
  if (act_order) {
    const auto key = [&](int32_t column) {
      return std::max(diagonal[static_cast<size_t>(column)], 0.0F);
    };
    std::stable_sort(order, order + diagonal.size(),
                     [&](int32_t a, int32_t b) { return key(a) > key(b); });
  }
  return result;
}

}  // namespace rotor
