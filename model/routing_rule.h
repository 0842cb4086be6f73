// How a router shares out tokens over experts. The formulas are those of the families' own code in
// transformers; each family's row says which of them it uses.
#pragma once

#include <cstdint>

namespace rotor {

/// A token's scores are the softmax of its logits over all experts. It goes to the `per_token`
/// experts of the largest scores, of equal ones to those with the lower numbers, and what they make
/// of it is summed with the scores as weights.
struct RoutingRule {
  int64_t experts = 0;     // 0: the stage has none
  int64_t per_token = 0;   // 1 to experts
  bool normalize = false;  // the weights of a token's experts are divided by their sum
  bool operator==(const RoutingRule&) const = default;
};

}  // namespace rotor
