// config.json of a model directory, as transformers 4 and 5 write it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

enum class RopeType { kDefault, kLinear, kLlama3 };

/// Rotary embedding: transformers 4 `rope_theta` + `rope_scaling`, transformers 5
/// `rope_parameters`.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                              // linear, llama3
  double low_freq_factor = 1.0;                     // llama3
  double high_freq_factor = 4.0;                    // llama3
  int64_t original_max_position_embeddings = 8192;  // llama3
};

enum class ActivationKind { kSilu };

struct ModelConfig {
  std::string model_type;
  std::string architecture;  // first of "architectures"; may be empty
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  int64_t sliding_window = 0;  // tokens a position sees, itself included; 0: all
  double rms_norm_eps = 1e-6;
  ActivationKind activation = ActivationKind::kSilu;
  RopeConfig rope;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // on q, k, v and o
  bool mlp_bias = false;
  DType dtype = DType::kBf16;  // `dtype` or `torch_dtype`; F32 where neither is given
};

/// Parses config.json's text. `path` is named in errors, which also name the key, the value found
/// and the remedy. Refuses: what is not one JSON object, missing or wrongly typed keys, sizes that
/// are not positive or absurd (> 2^31), num_heads not a multiple of num_kv_heads, an odd head_dim,
/// unknown rope types and activations, a checkpoint that is quantized already
/// (`quantization_config`), unless `allow_quantized`.
Result<ModelConfig> parse_model_config(const std::string& text, const std::string& path,
                                       bool allow_quantized = false);

}  // namespace rotor
