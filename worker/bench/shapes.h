// The sizes of known models, for benchmarks: what their public config.json files say. Rotary
// embeddings are taken without their long-context scaling, which changes no cost.
//
// Thread-safety: constants and pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor::worker::bench {

struct ModelShape {
  std::string_view name;
  std::string_view model_type;
  int64_t hidden;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t intermediate;
  int64_t vocab;
  int64_t layers;
  double rope_theta;
  bool tied;  // output head and embedding
};

std::span<const ModelShape> model_shapes();

/// INVALID_ARGUMENT (UNKNOWN_SHAPE), with the names that there are.
Result<ModelShape> find_shape(std::string_view name);

/// The text of a BF16 model's config.json with this many layers.
std::string config_json(const ModelShape& shape, int64_t layers);

}  // namespace rotor::worker::bench
