// Multimodal models whose text part is one of model/families.cpp: which of them are read, and where
// their config.json speaks of the text part. Everything else of them (towers, projectors, nested
// configs) is copied as it is.
//
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <string>

#include "model/json_object.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

/// Where a dtype is named, by transformers 5 and 4, and what stands there for that of the weights.
inline constexpr std::array kDtypeKeys = {"dtype", "torch_dtype"};
inline constexpr const char* kAutoDtype = "auto";

/// What a config.json says of a decoder, and where.
struct DecoderConfig {
  JsonObject object;       // the keys of the decoder: the file's own, or those at "text_config"
  std::string model_type;  // of the decoder
  std::string wrapper;     // model_type of the model around it; empty: there is none
  bool nested = false;     // object is what stands at "text_config"
};

/// Error: UNIMPLEMENTED, reason UNSUPPORTED_MODEL_TYPE, for a wrapper that is not read and for one
/// around a text part that it is not known with; both names are given. Whether a decoder alone is
/// supported find_family tells.
Result<DecoderConfig> find_decoder(const JsonObject& root);

/// config.json with the dtype's name wherever it says "auto", which transformers does not read.
/// Error: BAD_JSON where it is no object.
Result<std::string> with_named_dtype(const std::string& config_text, DType dtype);

/// config.json with `key` set where the model and its text part have it; at the root in any case.
/// Error: BAD_JSON where it is no object.
Result<std::string> with_boolean(const std::string& config_text, const std::string& key,
                                 bool value);

}  // namespace rotor
