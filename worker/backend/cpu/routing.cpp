#include "worker/backend/cpu/routing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/pieces.h"

namespace rotor::worker::cpu {
namespace {

/// The experts of one token, ascending, from logits without NaN.
void choose(const float* logits, const RoutingRule& rule, int32_t* choices) {
  const auto before = [&](int64_t a, int64_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  };
  for (int64_t k = 0; k < rule.per_token; ++k) {
    int64_t best = -1;  // of those behind the choice before
    for (int64_t e = 0; e < rule.experts; ++e) {
      if ((k == 0 || before(choices[k - 1], e)) && (best < 0 || before(e, best))) {
        best = e;
      }
    }
    choices[k] = static_cast<int32_t>(best);
  }
  std::sort(choices, choices + rule.per_token);
}

void route_row(float* logits, const RoutingRule& rule, int32_t* choices, float* weights) {
  for (int64_t e = 0; e < rule.experts; ++e) {
    logits[e] = std::isnan(logits[e]) ? -std::numeric_limits<float>::infinity() : logits[e];
  }
  choose(logits, rule, choices);
  const float largest = *std::max_element(logits, logits + rule.experts);
  const auto all = static_cast<float>(exp_and_sum(logits, rule.experts, largest));
  float sum = 0.0F;
  for (int64_t k = 0; k < rule.per_token; ++k) {
    weights[k] = logits[choices[k]] / all;
    sum += weights[k];
  }
  for (int64_t k = 0; rule.normalize && k < rule.per_token; ++k) {
    weights[k] /= sum;
  }
}

}  // namespace

void choose_experts(float* logits, int64_t tokens, const RoutingRule& rule, int32_t* choices,
                    float* weights, Parallel& parallel) {
  for_ranges(tokens, rule.experts * (rule.per_token + 1), parallel,
             [&](int64_t begin, int64_t end) {
               for (int64_t t = begin; t < end; ++t) {
                 route_row(logits + t * rule.experts, rule, choices + t * rule.per_token,
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
