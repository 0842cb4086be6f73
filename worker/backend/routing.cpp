#include "worker/backend/routing.h"

namespace rotor::worker {

RowOrder order_rows(std::span<const int32_t> choices, int64_t per_token, int64_t experts) {
  RowOrder order;
  order.begin.assign(static_cast<size_t>(experts) + 1, 0);
  for (const int32_t expert : choices) {
    ++order.begin[static_cast<size_t>(expert) + 1];
  }
  for (size_t e = 1; e < order.begin.size(); ++e) {
    order.begin[e] += order.begin[e - 1];
  }
  std::vector<int64_t> next(order.begin.begin(), order.begin.end() - 1);
  order.tokens.resize(choices.size());
  order.places.resize(choices.size());
  for (size_t i = 0; i < choices.size(); ++i) {
    const int64_t row = next[static_cast<size_t>(choices[i])]++;
    order.tokens[static_cast<size_t>(row)] =
        static_cast<int32_t>(i / static_cast<size_t>(per_token));
    order.places[i] = static_cast<int32_t>(row);
  }
  return order;
}

}  // namespace rotor::worker
