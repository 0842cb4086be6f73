// The post_processor of a tokenizer.json: the special tokens around a text.
//
// Supported: TemplateProcessing (its `single` template), ByteLevel (which changes offsets alone),
// Sequence of these; and none.
#pragma once

#include <cstdint>
#include <vector>

#include "model/json_object.h"
#include "quant/base/status.h"

namespace rotor {

struct PostProcessor {
  std::vector<int32_t> before;
  std::vector<int32_t> after;
};

/// The post-processor under key "post_processor" of `tokenizer`. Errors: UNIMPLEMENTED naming the
/// component, INVALID_ARGUMENT naming the key.
Result<PostProcessor> parse_post_processor(const JsonObject& tokenizer);

}  // namespace rotor
