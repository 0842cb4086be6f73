// JSON from files and clients that may be hostile: strict RFC 8259, UTF-8 checked, no duplicate
// keys at any level, bounded depth and size. nlohmann's exceptions stay inside.
//
// Thread-safety: free functions. Cost: one pass at the speed of nlohmann's own parser (two passes
// for ordered documents); memory is that of the document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

struct JsonLimits {
  int max_depth = 64;                  // arrays and objects inside one another
  size_t max_bytes = size_t{1} << 28;  // of text
  size_t max_values =
      size_t{1} << 24;  // of all kinds together; about 16 to 100 bytes of memory each
};

/// Parses one JSON value with nothing but white space around it. `path` is named in errors (a file,
/// or "FILE:LINE"). Errors: INVALID_ARGUMENT, reason BAD_JSON, with the byte offset of the fault.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view path,
                                  const JsonLimits& limits = {});

/// The same with the keys of objects in the order of the text; look-up of a key is linear, so for
/// small files that are written again (config.json).
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view path,
                                                  const JsonLimits& limits = {});

}  // namespace rotor
