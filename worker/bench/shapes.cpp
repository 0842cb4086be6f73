#include "worker/bench/shapes.h"

#include <array>
#include <nlohmann/json.hpp>

namespace rotor::worker::bench {
namespace {

// Dense Qwen3's linears are Llama's in other sizes; its norms of single heads cost next to nothing
// and are left out.
constexpr std::array kShapes = {
    // name, type, hidden, heads, kv, head_dim, intermediate, vocab, layers, theta, tied, of experts
    ModelShape{"tiny", "llama", 128, 4, 2, 32, 384, 512, 2, 1e4, false},
    ModelShape{"llama-1b", "llama", 2048, 32, 8, 64, 8192, 128256, 16, 5e5, true},
    ModelShape{"llama-3b", "llama", 3072, 24, 8, 128, 8192, 128256, 28, 5e5, true},
    ModelShape{"llama-8b", "llama", 4096, 32, 8, 128, 14336, 128256, 32, 5e5, false},
    ModelShape{"llama-70b", "llama", 8192, 64, 8, 128, 28672, 128256, 80, 5e5, false},
    ModelShape{"mistral-7b", "mistral", 4096, 32, 8, 128, 14336, 32768, 32, 1e6, false},
    ModelShape{"qwen3-8b", "llama", 4096, 32, 8, 128, 12288, 151936, 36, 1e6, false},
    ModelShape{"qwen3-32b", "llama", 5120, 64, 8, 128, 25600, 151936, 64, 1e6, false},
    ModelShape{"tiny-moe", "qwen3_moe", 128, 4, 2, 32, 64, 512, 2, 1e4, false, 8, 2},
    ModelShape{"mixtral-8x7b", "mixtral", 4096, 32, 8, 128, 14336, 32000, 32, 1e6, false, 8, 2},
    ModelShape{"qwen3-30b-a3b", "qwen3_moe", 2048, 32, 4, 128, 768, 151936, 48, 1e6, false, 128, 8},
    ModelShape{"qwen3-235b-a22b", "qwen3_moe", 4096, 64, 4, 128, 1536, 151936, 94, 1e6, false, 128,
               8},
    // Three of four layers are gated delta nets, in the sizes that their classes take by default.
    ModelShape{"qwen3.5-9b", "qwen3_5_text", 4096, 16, 4, 256, 12288, 248320, 32, 1e7, false},
    ModelShape{"qwen3-next-80b", "qwen3_next", 2048, 16, 2, 256, 512, 151936, 48, 1e7, false, 512,
               10},
};

constexpr int64_t kMaxPositions = 131072;

std::string_view architecture_of(std::string_view model_type) {
  if (model_type == "mistral") {
    return "MistralForCausalLM";
  }
  if (model_type == "mixtral") {
    return "MixtralForCausalLM";
  }
  if (model_type == "qwen3_next") {
    return "Qwen3NextForCausalLM";
  }
  if (model_type == "qwen3_5_text") {
    return "Qwen3_5ForCausalLM";
  }
  return model_type == "qwen3_moe" ? "Qwen3MoeForCausalLM" : "LlamaForCausalLM";
}

}  // namespace

std::span<const ModelShape> model_shapes() {
  return kShapes;
}

Result<ModelShape> find_shape(std::string_view name) {
  std::string names;
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name) {
      return shape;
    }
    names += (names.empty() ? "" : ", ") + std::string(shape.name);
  }
  return invalid_argument("--shape " + std::string(name) + " is not known: choose one of " + names)
      .with_reason("UNKNOWN_SHAPE");
}

std::string config_json(const ModelShape& shape, int64_t layers) {
  nlohmann::ordered_json config = {
      {"architectures", {architecture_of(shape.model_type)}},
      {"model_type", shape.model_type},
      {"hidden_size", shape.hidden},
      {"intermediate_size", shape.intermediate},
      {"num_hidden_layers", layers},
      {"num_attention_heads", shape.heads},
      {"num_key_value_heads", shape.kv_heads},
      {"head_dim", shape.head_dim},
      {"vocab_size", shape.vocab},
      {"max_position_embeddings", kMaxPositions},
      {"rms_norm_eps", 1e-5},
      {"hidden_act", "silu"},
      {"rope_theta", shape.rope_theta},
      {"tie_word_embeddings", shape.tied},
      {"attention_bias", false},
      {"mlp_bias", false},
      {"torch_dtype", "bfloat16"},
  };
  if (shape.model_type == "mistral" || shape.model_type == "mixtral") {
    config["sliding_window"] = nullptr;
  }
  if (shape.experts > 0) {
    const bool qwen = shape.model_type != "mixtral";
    config[qwen ? "num_experts" : "num_local_experts"] = shape.experts;
    config["num_experts_per_tok"] = shape.per_token;
    if (qwen) {
      config["moe_intermediate_size"] = shape.intermediate;
      config["norm_topk_prob"] = true;
    }
    if (shape.model_type == "qwen3_next") {
      config["shared_expert_intermediate_size"] = shape.intermediate;
    }
  }
  return config.dump(2) + "\n";
}

Result<ModelConfig> model_config(const ModelShape& shape, int64_t layers) {
  return parse_model_config(config_json(shape, layers), std::string(shape.name));
}

}  // namespace rotor::worker::bench
