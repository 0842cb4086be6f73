// The results of modules on their way from the rank that solved them to the others.
//
// Format: JSON, an array with an object a module; numbers are written so that they are read back to
// the same bits. Between ranks of one program alone. Thread-safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "worker/pipeline/results.h"

namespace rotor::worker {

std::string serialize_results(const std::vector<ModuleResult>& results);
std::vector<ModuleResult> parse_results(const std::string& text);

}  // namespace rotor::worker
