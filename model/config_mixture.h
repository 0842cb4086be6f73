// What a config.json says about a mixture of experts: how many, how wide, in which layers, and how
// tokens are shared out over them.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in routing, expert_features and mixture_layers, where the family has experts; num_layers
/// is there already. Errors: more experts a token than there are, or than the groups that it goes
/// to have; UNIMPLEMENTED with UNSUPPORTED_ROUTING for another rule of scores than the family's.
Status parse_mixture(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
