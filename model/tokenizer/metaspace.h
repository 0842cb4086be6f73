// The Metaspace pre-tokenizer: SentencePiece's way with spaces. Each space becomes the replacement
// (U+2581 in the models that are known), and so that a word is the same at the start of a text as
// within it, one more may be put before the text.
#pragma once

#include <memory>

#include "model/json_object.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "quant/base/status.h"

namespace rotor {

/// Keys: replacement (one character), prepend_scheme (first: where the whole input begins; always:
/// before every piece; never), add_prefix_space (of older files: false is never), split (true: cut
/// before each replacement). Error: INVALID_ARGUMENT naming the key.
Result<std::unique_ptr<PreTokenizer>> parse_metaspace(const JsonObject& object);

}  // namespace rotor
