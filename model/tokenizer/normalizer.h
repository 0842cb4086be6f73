// The normalizer of a tokenizer.json: rewrites a text before it is cut.
//
// Supported: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace (patterns Regex and
// String), Strip, StripAccents; and none. Forms, case and classes of characters by ICU.
//
// Thread-safety: an object serves one thread at a time; clone() gives another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/json_object.h"
#include "quant/base/status.h"

namespace rotor {

struct NormalizedText {
  std::string text;
  /// As Piece has it: whether what the whole input begins with is still there.
  bool at_start = false;
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::unique_ptr<Normalizer> clone() const = 0;
  /// Rewrites `section` (valid UTF-8) in place. Error: RESOURCE_EXHAUSTED for a text over 2 GiB or
  /// a regular expression that takes too long.
  virtual Status apply(NormalizedText& section) = 0;
};

/// The normalizer under key "normalizer" of `tokenizer`; null where there is none. Errors:
/// UNIMPLEMENTED naming the component, INVALID_ARGUMENT naming the key.
Result<std::unique_ptr<Normalizer>> parse_normalizer(const JsonObject& tokenizer);

}  // namespace rotor
