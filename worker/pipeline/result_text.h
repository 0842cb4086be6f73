// The results of modules as JSON: on their way from the rank that solved them to the others, and as
// rotor-bench prints them. Numbers are written so that they are read back to the same bits.
//
// Thread-safety: plain functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "worker/pipeline/results.h"

namespace rotor::worker {

/// An object with the fields of rotor.v1.ModuleReport.
nlohmann::ordered_json result_json(const ModuleResult& result);

/// An array of such objects. Between ranks of one program alone.
std::string serialize_results(const std::vector<ModuleResult>& results);
std::vector<ModuleResult> parse_results(const std::string& text);

}  // namespace rotor::worker
