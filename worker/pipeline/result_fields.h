// The fields of a module's result, each named once: what reports, JSON and ranks pass on.
#pragma once

#include "worker/pipeline/results.h"

namespace rotor::worker {

/// Calls visit(name, field) for every field, under its name in rotor.v1.ModuleReport. `Result` is
/// ModuleResult, const or not.
template <typename Result, typename Visitor>
void each_field(Result& result, const Visitor& visit) {
  visit("name", result.name);
  visit("relative_error", result.relative_error);
  visit("rtn_relative_error", result.rtn_relative_error);
  visit("damping", result.damping);
  visit("rotation", result.rotation);
  visit("method", result.method);
  visit("tokens", result.tokens);
  visit("fallbacks", result.fallbacks);
}

}  // namespace rotor::worker
