// Routing on the CPU: the choice of experts, and the rows that go to them and come back.
//
// Thread-safety: plain functions on the caller's data. Rows are cut into pieces of a fixed number
// of elements. Cost: one pass over the data.
#pragma once

#include <cstdint>

#include "model/routing_rule.h"
#include "quant/base/parallel.h"

namespace rotor::worker::cpu {

/// From logits [tokens, rule.experts] to the experts of each token, ascending, and their weights,
/// both [tokens, rule.per_token]. Writes over the logits. `correction` [rule.experts] where the
/// rule is corrected, else null. A NaN counts as less than any number.
void choose_experts(float* logits, int64_t tokens, const RoutingRule& rule, const float* correction,
                    int32_t* choices, float* weights, Parallel& parallel);

/// out[r, :] = x[rows[r], :], `count` rows of `cols` columns.
void gather_rows(const float* x, int64_t cols, const int32_t* rows, int64_t count, float* out,
                 Parallel& parallel);

/// Backend::add_routed on x [tokens, cols] with `per_token` rows of y for each.
void add_routed(float* x, int64_t tokens, int64_t cols, const float* y, const int32_t* places,
                const float* weights, int64_t per_token, Parallel& parallel);

}  // namespace rotor::worker::cpu
