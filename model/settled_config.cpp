#include "model/settled_config.h"

#include <cmath>
#include <string>
#include <string_view>

#include "model/families.h"
#include "model/tensor_names.h"
#include "quant/format/bf16.h"

namespace rotor {
namespace {

/// sqrt(hidden_size) as the model's own dtype holds it, because so the model was trained.
float scale_of_embeddings(const ModelConfig& config) {
  const float root = std::sqrt(static_cast<float>(config.hidden_size));
  switch (config.dtype) {
    case DType::kBf16:
      return bf16_to_f32(f32_to_bf16(root));
    case DType::kF16:
      return f16_to_f32(f32_to_f16(root));
    default:
      return root;
  }
}

/// Whether the class that the checkpoint was saved from has an output head; unnamed, it is taken to
/// have one.
bool predicts_words(const ModelConfig& config) {
  const std::string& name = config.architecture;
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  return name.empty() || has("ForCausalLM") || has("ForConditionalGeneration") || has("LMHead");
}

}  // namespace

void set_dtype(DType dtype, ModelConfig& config) {
  config.dtype = dtype;
  if (const auto family = find_family(config.model_type);
      family.ok() && (*family)->scales_embedding) {
    config.embedding_scale = scale_of_embeddings(config);
  }
}

void settle_config(const TensorSource& checkpoint, ModelConfig& config) {
  const TensorNames names = find_tensor_names(checkpoint);
  if (!config.names_tied) {
    config.tie_word_embeddings = checkpoint.find(names.head + ".weight") == nullptr;
  }
  const TensorSpec* embedding = checkpoint.find(names.decoder + "embed_tokens.weight");
  if (embedding != nullptr && !config.named_dtype &&
      (embedding->dtype == DType::kBf16 || embedding->dtype == DType::kF16 ||
       embedding->dtype == DType::kF32)) {
    set_dtype(embedding->dtype, config);
  }
}

void settle_head(const TensorSource& checkpoint, Architecture& architecture) {
  if (architecture.head_weight != architecture.embedding &&
      checkpoint.find(architecture.head_weight) == nullptr &&
      !predicts_words(architecture.config)) {
    architecture.head_weight.clear();
  }
}

}  // namespace rotor
