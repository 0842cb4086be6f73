// Recipes by what is to serve the checkpoint: one table, for the API, `--preset` and
// docs/engines.md.
//
// Thread-safety: constant data and pure functions.
#pragma once

#include <span>
#include <string_view>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

struct Preset {
  std::string_view name;  // ENGINE[-GPU][-FORMAT]
  std::string_view use;   // what it is for, in words
  std::string_view spec;  // a JobSpec in protobuf's text format
};
std::span<const Preset> presets();

/// The spec with what its preset says where it says nothing itself. Its own targets or rotation
/// take the place of the preset's. Errors: INVALID_ARGUMENT, reason BAD_SPEC, for a name that is
/// none; the message lists them.
Result<v1::JobSpec> with_preset(const v1::JobSpec& spec);

}  // namespace rotor
