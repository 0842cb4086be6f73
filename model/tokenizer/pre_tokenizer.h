// The pre_tokenizer of a tokenizer.json: cuts a text into the pieces that the model works on.
//
// Supported: Sequence; Split (patterns Regex and String, every behavior, invert); ByteLevel
// (add_prefix_space, use_regex); Digits, Punctuation, Whitespace, WhitespaceSplit; and none.
//
// Thread-safety: an object serves one thread at a time; clone() gives another.
#pragma once

#include <memory>
#include <string_view>

#include "model/json_object.h"
#include "model/tokenizer/split_behavior.h"
#include "quant/base/status.h"

namespace rotor {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual std::unique_ptr<PreTokenizer> clone() const = 0;
  /// Hands out the pieces of `text` (valid UTF-8) from left to right, none of them empty.
  virtual Status split(std::string_view text, const PieceSink& sink) = 0;
};

/// The pre-tokenizer under key "pre_tokenizer" of `tokenizer`. Errors: UNIMPLEMENTED naming the
/// component, INVALID_ARGUMENT naming the key.
Result<std::unique_ptr<PreTokenizer>> parse_pre_tokenizer(const JsonObject& tokenizer);

}  // namespace rotor
