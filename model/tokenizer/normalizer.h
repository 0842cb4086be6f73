// The normalizer of a tokenizer.json: rewrites a text before it is cut.
//
// Supported: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace (patterns Regex and
// String); and none. Forms and case by ICU.
//
// Thread-safety: an object serves one thread at a time; clone() gives another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/json_object.h"
#include "quant/base/status.h"

namespace rotor {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::unique_ptr<Normalizer> clone() const = 0;
  /// Rewrites `text` (valid UTF-8) in place. Error: RESOURCE_EXHAUSTED for a text over 2 GiB or a
  /// regular expression that takes too long.
  virtual Status apply(std::string& text) = 0;
};

/// The normalizer under key "normalizer" of `tokenizer`; null where there is none. Errors:
/// UNIMPLEMENTED naming the component, INVALID_ARGUMENT naming the key.
Result<std::unique_ptr<Normalizer>> parse_normalizer(const JsonObject& tokenizer);

}  // namespace rotor
