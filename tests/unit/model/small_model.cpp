#include "tests/unit/model/small_model.h"

#include <nlohmann/json.hpp>

#include "model/model_files.h"
#include "quant/checkpoint/safetensors_writer.h"

namespace rotor::testing {

nlohmann::json small_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_size", 8},
          {"intermediate_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", 16},
          {"max_position_embeddings", 32},
          {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", false},
          {"torch_dtype", "bfloat16"}};
}

ModelConfig parsed_small_config() {
  return parse_model_config(small_config().dump(), "config.json").value();
}

nlohmann::json family_config(const std::string& model_type, const nlohmann::json& keys) {
  nlohmann::json config = small_config();
  config["model_type"] = model_type;
  config.update(keys);
  if (!config.contains("head_dim")) {  // families have defaults of their own
    config["head_dim"] =
        config["hidden_size"].get<int>() / config["num_attention_heads"].get<int>();
  }
  return config;
}

ModelConfig plan_config(int64_t layers) {
  ModelConfig config;
  config.model_type = "llama";
  config.hidden_size = 256;
  config.intermediate_size = 704;  // 64 * 11
  config.num_layers = layers;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 64;
  config.vocab_size = 100;
  config.max_position_embeddings = 128;
  return config;
}

Result<ModelConfig> parse_config(const nlohmann::json& config) {
  return parse_model_config(config.dump(), "M/config.json");
}

std::vector<TensorSpec> small_tensors() {
  std::vector<TensorSpec> specs;
  for (const ExpectedTensor& tensor : expected_tensors(describe(parsed_small_config()).value())) {
    specs.push_back({tensor.name, DType::kBf16, tensor.shape});
  }
  return specs;
}

void write_model(const TemporaryDirectory& directory, const nlohmann::json& config,
                 const std::vector<TensorSpec>& tensors) {
  directory.put("config.json", config.dump());
  auto writer =
      SafetensorsWriter::create(posix_file_system(), directory / "model.safetensors", tensors);
  ASSERT_TRUE(writer.ok()) << writer.status().to_string();
  const Status finished = (*writer)->finish();
  ASSERT_TRUE(finished.ok()) << finished.to_string();
}

}  // namespace rotor::testing
