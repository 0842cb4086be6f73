// What `rotor inspect` shows, for scripts and for people. Pure functions, thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "quant/checkpoint/inspect.h"

namespace rotor::cli {

/// quantized, layout, format, activations, group_size, shards, bytes, ignore, tensors, modules,
/// report.
nlohmann::ordered_json inspect_json(const InspectReport& report);

/// A summary and the error table, cut to the worst modules; with `all` every tensor and every row.
std::string inspect_text(const InspectReport& report, bool all);

}  // namespace rotor::cli
