// The sizes of known models, for benchmarks: what their public config.json files say. Rotary
// embeddings are taken without their long-context scaling, which changes no cost.
//
// Thread-safety: constants and pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/config.h"
#include "quant/base/status.h"

namespace rotor::worker::bench {

struct ModelShape {
  std::string_view name;
  std::string_view model_type;
  int64_t hidden;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t intermediate;  // of a mixture: of an expert
  int64_t vocab;
  int64_t layers;
  double rope_theta;
  bool tied;              // output head and embedding
  int64_t experts = 0;    // of a layer; 0: no mixture
  int64_t per_token = 0;  // experts that a token goes to
};

std::span<const ModelShape> model_shapes();

/// INVALID_ARGUMENT (UNKNOWN_SHAPE), with the names that there are.
Result<ModelShape> find_shape(std::string_view name);

/// What config_json says, read.
Result<ModelConfig> model_config(const ModelShape& shape, int64_t layers);

/// The text of a BF16 model's config.json with this many layers.
std::string config_json(const ModelShape& shape, int64_t layers);

}  // namespace rotor::worker::bench
