// Reading a `quantization_config` strictly: a layout's parser takes the few values that may vary
// out of a given object, writes the object again with them, and refuses every difference. So what
// is read is exactly what can be written, and nothing is passed over in silence.
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"

namespace rotor {

/// INVALID_ARGUMENT, reason BAD_CONFIG, naming file and key (a JSON pointer).
Status bad_config(const std::string& path, const std::string& key, const std::string& what);

/// A value by JSON pointer; null where there is none, which the comparison afterwards reports.
nlohmann::json value_at(const nlohmann::json& config, const char* pointer);

/// The names of a list of modules; nothing if it is no list of strings or holds a pattern.
std::optional<NameSet> names_in(const nlohmann::json& list);

/// The size of a rotation's blocks, which must be a power of two that this program can rotate by.
Result<int> block_size(const nlohmann::json& value, const std::string& path,
                       const std::string& key);

/// OK if the two are the same; else bad_config with the first difference.
Status first_difference(const nlohmann::json& written, const nlohmann::json& found,
                        const std::string& path);

}  // namespace rotor
