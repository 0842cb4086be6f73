// Experts that saw too few tokens to be solved (faults.md, row 28).
//
// Thread-safety: plain functions.
#pragma once

#include <cstdint>

#include "model/plan.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// Whether `tokens` are too few for GPTQ: none, or fewer than `least_share` of what each expert
/// would see if `routed` tokens were spread evenly over `experts`.
bool is_starved(int64_t tokens, int64_t routed, int64_t experts, double least_share);

/// Has every module of a starved expert's plan that GPTQ would have solved rounded to nearest, with
/// mse scales and a note that says why.
void round_starved(int64_t tokens, int64_t routed, int64_t experts, StagePlan* plan);

/// hessian [K, K] F32 = the identity: what stands in where an expert saw no token. Error: the
/// backend's.
Status fill_identity(Backend& backend, const Tensor& hessian);

}  // namespace rotor::worker
