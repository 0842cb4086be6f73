// An error as JSON: what programs print for scripts (`-o json`), and hand one another on stdout.
//
// Thread-safety: free functions; never fail.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "quant/base/status.h"

namespace rotor {

/// {"code", "reason", "message", "details"} of an error.
nlohmann::ordered_json error_json(const Status& status);

/// The error that error_json() wrote; an OK status for anything else.
Status error_from_json(const nlohmann::ordered_json& error);

}  // namespace rotor
