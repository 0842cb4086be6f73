// Worker groups as a table and as JSON. Pure functions, thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rotor/v1/jobs.pb.h"

namespace rotor::cli {

/// Two tables: a line a group, and under it a line a rank for groups of several.
std::string workers_text(const v1::ListWorkersResponse& workers);
nlohmann::ordered_json workers_json(const v1::ListWorkersResponse& workers);

}  // namespace rotor::cli
