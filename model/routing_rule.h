// How a router shares out tokens over experts. The formulas are those of the families' own code in
// transformers; each family's row says which of them it uses.
#pragma once

#include <cstdint>

namespace rotor {

enum class ScoreRule {
  kSoftmax,  // of a token's logits over all experts
  kSigmoid,  // of each logit by itself
};

/// A token goes to the `per_token` experts of the largest scores, of equal ones to those with the
/// lower numbers, and what they make of it is summed with the scores as weights.
///
/// Of sigmoids, with `groups` (DeepSeek-V3, arXiv 2412.19437, section 2.1.2) only experts of the
/// `groups_chosen` best groups can be chosen: a group is a run of experts, and as good as the sum
/// of its two largest scores; of equal ones the lower number is better. `corrected`: for the
/// choice, of groups and of experts, a number of its own is added to each expert's score; the
/// weights are scores all the same.
///
/// `scales_inputs` (Llama 4, one expert a token): an expert's input is multiplied by the score, and
/// what it gives counts as it is.
struct RoutingRule {
  int64_t experts = 0;     // 0: the stage has none
  int64_t per_token = 0;   // 1 to experts
  bool normalize = false;  // the weights of a token's experts are divided by their sum
  ScoreRule score = ScoreRule::kSoftmax;
  bool corrected = false;
  int64_t groups = 1;         // divides experts
  int64_t groups_chosen = 1;  // 1 to groups
  float scale = 1.0F;         // of the weights, after all else
  bool scales_inputs = false;
  bool operator==(const RoutingRule&) const = default;
};

}  // namespace rotor
