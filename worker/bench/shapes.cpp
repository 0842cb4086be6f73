#include "worker/bench/shapes.h"

#include <array>
#include <nlohmann/json.hpp>

namespace rotor::worker::bench {
namespace {

// Qwen3's linears are Llama's in other sizes; its norms of single heads cost next to nothing and
// are left out.
constexpr std::array kShapes = {
    // name, type, hidden, heads, kv, head_dim, intermediate, vocab, layers, theta, tied
    ModelShape{"tiny", "llama", 128, 4, 2, 32, 384, 512, 2, 1e4, false},
    ModelShape{"llama-1b", "llama", 2048, 32, 8, 64, 8192, 128256, 16, 5e5, true},
    ModelShape{"llama-3b", "llama", 3072, 24, 8, 128, 8192, 128256, 28, 5e5, true},
    ModelShape{"llama-8b", "llama", 4096, 32, 8, 128, 14336, 128256, 32, 5e5, false},
    ModelShape{"llama-70b", "llama", 8192, 64, 8, 128, 28672, 128256, 80, 5e5, false},
    ModelShape{"mistral-7b", "mistral", 4096, 32, 8, 128, 14336, 32768, 32, 1e6, false},
    ModelShape{"qwen3-8b", "llama", 4096, 32, 8, 128, 12288, 151936, 36, 1e6, false},
    ModelShape{"qwen3-32b", "llama", 5120, 64, 8, 128, 25600, 151936, 64, 1e6, false},
};

constexpr int64_t kMaxPositions = 131072;

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
      {"architectures",
       {shape.model_type == "mistral" ? "MistralForCausalLM" : "LlamaForCausalLM"}},
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
  if (shape.model_type == "mistral") {
    config["sliding_window"] = nullptr;
  }
  return config.dump(2) + "\n";
}

}  // namespace rotor::worker::bench
