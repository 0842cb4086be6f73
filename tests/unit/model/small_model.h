// A Llama of two layers that a test writes, changed as the test likes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/config.h"
#include "quant/checkpoint/tensor_spec.h"
#include "tests/support/temporary_directory.h"

namespace rotor::testing {

/// config.json as transformers 4 writes it: hidden 8, inner 12, 2 layers, 4 heads over 2, 16 words.
nlohmann::json small_config();
ModelConfig parsed_small_config();
/// small_config() of another model type, with other values of `keys`.
nlohmann::json family_config(const std::string& model_type,
                             const nlohmann::json& keys = nlohmann::json::object());
/// What plans are made for: hidden 256, inner 704, 4 heads of 64 over 2, 100 words.
ModelConfig plan_config(int64_t layers);
/// As "M/config.json".
Result<ModelConfig> parse_config(const nlohmann::json& config);
/// The tensors that the config asks for, in BF16.
std::vector<TensorSpec> small_tensors();
/// Writes config.json and one model.safetensors of zeros.
void write_model(const TemporaryDirectory& directory, const nlohmann::json& config,
                 const std::vector<TensorSpec>& tensors);

}  // namespace rotor::testing
