#include "worker/backend/cpu/routing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/pieces.h"

namespace rotor::worker::cpu {
namespace {

constexpr float kLeast = -std::numeric_limits<float>::infinity();

float or_least(float value) {
  return std::isnan(value) ? kLeast : value;
}

/// The `count` largest of `size` numbers without NaN, of equal ones the first; ascending.
void choose(const float* numbers, int64_t size, int64_t count, int32_t* choices) {
  const auto before = [&](int64_t a, int64_t b) {
    return numbers[a] > numbers[b] || (numbers[a] == numbers[b] && a < b);
  };
  for (int64_t k = 0; k < count; ++k) {
    int64_t best = -1;  // of those behind the choice before
    for (int64_t e = 0; e < size; ++e) {
      if ((k == 0 || before(choices[k - 1], e)) && (best < 0 || before(e, best))) {
        best = e;
      }
    }
    choices[k] = static_cast<int32_t>(best);
  }
  std::sort(choices, choices + count);
}

/// What a token is routed with: numbers for the choice, and scores for the weights.
class Row {
 public:
  Row(const RoutingRule& rule, const float* correction)
      : rule_(rule),
        correction_(correction),
        keys_(static_cast<size_t>(rule.experts)),
        groups_(static_cast<size_t>(rule.groups)),
        chosen_groups_(static_cast<size_t>(rule.groups_chosen)) {}

  /// Writes over the logits.
  void route(float* logits, int32_t* choices, float* weights) {
    const int64_t experts = rule_.experts;
    std::transform(logits, logits + experts, logits, or_least);
    float all = 1.0F;
    if (rule_.score == ScoreRule::kSigmoid) {
      std::transform(logits, logits + experts, logits,
                     [](float logit) { return 1.0F / (1.0F + exp_approx(-logit)); });
    }
    for (int64_t e = 0; e < experts; ++e) {
      const float correction = correction_ == nullptr ? 0.0F : correction_[e];
      keys_[static_cast<size_t>(e)] = or_least(logits[e] + correction);
    }
    if (rule_.groups_chosen < rule_.groups) {
      leave_chosen_groups();
    }
    choose(keys_.data(), experts, rule_.per_token, choices);
    if (rule_.score == ScoreRule::kSoftmax) {
      const float largest = *std::max_element(logits, logits + experts);
      all = static_cast<float>(exp_and_sum(logits, experts, largest));
    }
    weigh(logits, all, choices, weights);
  }

 private:
  void leave_chosen_groups() {
    const auto size = static_cast<size_t>(rule_.experts / rule_.groups);
    for (size_t group = 0; group < groups_.size(); ++group) {
      float first = kLeast;
      float second = kLeast;
      for (size_t e = group * size; e < (group + 1) * size; ++e) {
        second = std::max(second, std::min(first, keys_[e]));
        first = std::max(first, keys_[e]);
      }
      groups_[group] = or_least(first + second);
    }
    choose(groups_.data(), rule_.groups, rule_.groups_chosen, chosen_groups_.data());
    for (size_t e = 0; e < keys_.size(); ++e) {
      const auto group = static_cast<int32_t>(e / size);
      if (!std::binary_search(chosen_groups_.begin(), chosen_groups_.end(), group)) {
        keys_[e] = kLeast;
      }
    }
  }

  void weigh(const float* scores, float all, const int32_t* choices, float* weights) const {
    float sum = 0.0F;
    for (int64_t k = 0; k < rule_.per_token; ++k) {
      weights[k] = scores[choices[k]] / all;
      sum += weights[k];
    }
    // Sigmoids may all be 0, a softmax never.
    sum += rule_.score == ScoreRule::kSigmoid ? kLeastSum : 0.0F;
    for (int64_t k = 0; k < rule_.per_token; ++k) {
      weights[k] = (rule_.normalize ? weights[k] / sum : weights[k]) * rule_.scale;
    }
  }

  static constexpr float kLeastSum = 1e-20F;  // as the models' own code has it

  const RoutingRule& rule_;
  const float* correction_;
  std::vector<float> keys_;
  std::vector<float> groups_;
  std::vector<int32_t> chosen_groups_;
};

}  // namespace

void choose_experts(float* logits, int64_t tokens, const RoutingRule& rule, const float* correction,
                    int32_t* choices, float* weights, Parallel& parallel) {
  for_ranges(tokens, rule.experts * (rule.per_token + 1), parallel,
             [&](int64_t begin, int64_t end) {
               Row row(rule, correction);
               for (int64_t t = begin; t < end; ++t) {
                 row.route(logits + t * rule.experts, choices + t * rule.per_token,
                           weights + t * rule.per_token);
               }
             });
}

void gather_rows(const float* x, int64_t cols, const int32_t* rows, int64_t count, float* out,
                 Parallel& parallel) {
  for_ranges(count, cols, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::memcpy(out + r * cols, x + rows[r] * cols, static_cast<size_t>(cols) * sizeof(float));
    }
  });
}

void add_routed(float* x, int64_t tokens, int64_t cols, const float* y, const int32_t* places,
                const float* weights, int64_t per_token, Parallel& parallel) {
  for_ranges(tokens, cols * (per_token + 1), parallel, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * per_token; i < end * per_token; ++i) {
      float* row = x + i / per_token * cols;
      const float* from = y + places[i] * cols;
      const float weight = weights[i];
      for (int64_t c = 0; c < cols; ++c) {
        row[c] += weight * from[c];
      }
    }
  });
}

}  // namespace rotor::worker::cpu
