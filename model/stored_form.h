// The forms in which a model's checkpoint may hold weights that are quantized already and that
// Rotor reads: the table from config.json's `quantization_config` to what decodes them. A form is
// a value here, its keys read in stored_form.cpp, and a maker of DecodedTensors.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/json_object.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

enum class StoredForm {
  kPlain,          // BF16, F16 or F32
  kScaledWeights,  // model/scaled_weights.h
  kMxfp4Experts,   // model/stacked_experts.h
};

/// A way in which a weight may stand beside its scales.
struct WeightScheme {
  std::optional<Format> format = {};  // of packed codes of 4 bits; nothing: FP8, E4M3
  int64_t rows = 0;                   // elements that share a scale; 0: all of the matrix's
  int64_t cols = 0;
  bool operator==(const WeightScheme&) const = default;
};

struct SourceQuantization {
  StoredForm form = StoredForm::kPlain;
  std::vector<WeightScheme> schemes = {};  // of kScaledWeights: all that are spoken of
  bool four_bit_inputs = false;            // whether engines quantize inputs to 4 bits, too
};

/// Reads `quantization_config` of a config.json's root, or of its text part; kPlain where neither
/// is given. `allow_quantized`: a form that is not read counts as kPlain, and the caller knows what
/// it is. Errors: INVALID_ARGUMENT, reason ALREADY_QUANTIZED, for a form that is not read, and the
/// reason of `config` for keys that are missing, out of range or at odds.
Result<SourceQuantization> parse_source_quantization(const JsonObject& config,
                                                     bool allow_quantized);

/// config.json without the key, at the root and in the text part: of a checkpoint whose weights are
/// written decoded, or quantized anew. Error: BAD_JSON where it is no object.
Result<std::string> without_source_quantization(const std::string& config_text);

}  // namespace rotor
