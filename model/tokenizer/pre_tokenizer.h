// The pre_tokenizer of a tokenizer.json: cuts a text into the pieces that the model works on.
//
// Supported: Sequence; Split (patterns Regex and String, every behavior, invert); ByteLevel
// (add_prefix_space, use_regex); Metaspace (prepend_scheme or add_prefix_space, split); Digits,
// Punctuation, Whitespace, WhitespaceSplit; and none.
//
// Thread-safety: an object serves one thread at a time; clone() gives another.
#pragma once

#include <memory>

#include "model/json_object.h"
#include "model/tokenizer/piece.h"
#include "quant/base/status.h"

namespace rotor {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual std::unique_ptr<PreTokenizer> clone() const = 0;
  /// Hands out the pieces of `whole` (valid UTF-8, not empty) from left to right, none of them
  /// empty.
  virtual Status split(const Piece& whole, const PieceSink& sink) = 0;
};

/// The pre-tokenizer under key "pre_tokenizer" of `tokenizer`. Errors: UNIMPLEMENTED naming the
/// component, INVALID_ARGUMENT naming the key.
Result<std::unique_ptr<PreTokenizer>> parse_pre_tokenizer(const JsonObject& tokenizer);

}  // namespace rotor
