// The forms in which a model's checkpoint may hold weights that are quantized already and that
// Rotor reads: the table from config.json's `quantization_config` to what decodes them. A form is
// a value here, its keys read in stored_form.cpp, and a maker of DecodedTensors.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "model/json_object.h"
#include "quant/base/status.h"

namespace rotor {

enum class StoredForm {
  kPlain,         // BF16, F16 or F32
  kFp8Blocks,     // model/fp8_blocks.h
  kMxfp4Experts,  // model/stacked_experts.h
};

struct SourceQuantization {
  StoredForm form = StoredForm::kPlain;
  int64_t block_rows = 0;  // of kFp8Blocks: elements that share a scale; 0: a row, or the whole
  int64_t block_cols = 0;
};

/// Reads `quantization_config` of a config.json's root; kPlain where it is not given. Errors:
/// INVALID_ARGUMENT, reason ALREADY_QUANTIZED, for a form that is not read (unless
/// `allow_quantized`: then it counts as kPlain, and the caller knows what it is), and the reason of
/// `config` for keys that are missing or out of range.
Result<SourceQuantization> parse_source_quantization(const JsonObject& config,
                                                     bool allow_quantized);

/// config.json without the key: of a checkpoint whose weights are written decoded, or quantized
/// anew. Error: BAD_JSON where it is no object.
Result<std::string> without_source_quantization(const std::string& config_text);

}  // namespace rotor
