// config.json as Python's json module writes it: with Infinity, -Infinity and NaN, which are no
// JSON. Read, each is a string that says so; written, it is what it was.
//
// Thread-safety: free functions. Cost: those of json.h, and a copy of a text that has any.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

/// As parse_json and parse_ordered_json; offsets in errors count the text as it is read.
Result<nlohmann::json> parse_config_json(std::string_view text, std::string_view path);
Result<nlohmann::ordered_json> parse_ordered_config_json(std::string_view text,
                                                         std::string_view path);

/// The text of a config that parse_ordered_config_json gave, indented by two spaces.
std::string dump_config_json(const nlohmann::ordered_json& config);

}  // namespace rotor
