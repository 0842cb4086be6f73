#include "model/families.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

constexpr std::array kFamilies = {
    Family{.model_type = "deepseek_v3",
           .latent_attention = true,
           .mixture = &kDeepseekMixture,
           .attention_bias = BiasRule::kByKey},
    Family{.model_type = "gemma2",
           .norms = kNormsAround,
           .norm_offset = 1.0F,
           .scales_embedding = true,
           .sizes = {.kv_heads = 4, .head_dim = 256},
           .attention_bias = BiasRule::kByKey,
           .windows = WindowRule::kAllButEveryNth,
           .default_sliding_window = 4096,
           .default_window_pattern = 2,
           .activation_key = "hidden_activation",
           .default_activation = "gelu_pytorch_tanh",
           .default_tied = true,
           .default_query_scalar = 256.0,
           .reads_attention_cap = true,
           .reads_logit_cap = true,
           .default_attention_cap = 50.0,
           .default_logit_cap = 30.0},
    Family{
        .model_type = "gemma3_text",
        .norms = kNormsAround,
        .norm_offset = 1.0F,
        .query_key_norm = QueryKeyNorm::kEachHead,
        .scales_embedding = true,
        .sizes =
            {.heads = 8, .kv_heads = 4, .head_dim = 256, .vocabulary = 262208, .positions = 131072},
        .attention_bias = BiasRule::kByKey,
        .windows = WindowRule::kAllButEveryNth,
        .default_sliding_window = 4096,
        .default_window_pattern = 6,
        .default_rope_theta = 1e6,
        .default_local_rope_theta = 10000.0,
        .activation_key = "hidden_activation",
        .default_activation = "gelu_pytorch_tanh",
        .default_tied = true,
        .default_query_scalar = 256.0,
        .reads_logit_cap = true},
    Family{.model_type = "glm4_moe",
           .query_key_norm = QueryKeyNorm::kEachHead,
           .mixture = &kGlmMixture,
           .sizes = {.kv_heads = 8},
           .reads_query_key_norm = true,
           .attention_bias = BiasRule::kQueryKeyValueByKey,
           .reads_partial_rotary = true,
           .default_rotary_share = 0.5,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "gpt_oss",
           .attention_sinks = true,
           .mixture = &kGptOssMixture,
           .sizes = {.kv_heads = 8, .head_dim = 64},
           .attention_bias = BiasRule::kByKey,
           .default_attention_bias = true,
           .windows = WindowRule::kAllButEveryNth,
           .default_sliding_window = 128,
           .default_window_pattern = 2,
           .default_rope_theta = 150000.0,
           .default_rope_scaling = kGptOssRope,
           .clamps_swiglu = true,
           .default_rms_norm_eps = 1e-5,
           // The released config.json names none.
           .default_dtype = DType::kBf16},
    Family{.model_type = "granite",
           .attention_bias = BiasRule::kByKey,
           .reads_mlp_bias = true,
           .reads_granite_scales = true},
    Family{.model_type = "kimi_k2",
           .latent_attention = true,
           .mixture = &kDeepseekMixture,
           .attention_bias = BiasRule::kByKey},
    Family{.model_type = "llama", .attention_bias = BiasRule::kByKey, .reads_mlp_bias = true},
    Family{.model_type = "minimax_m2",
           .query_key_norm = QueryKeyNorm::kWholeProjection,
           .mixture = &kMinimaxMixture,
           .sizes = {.kv_heads = 8, .head_dim = 128},
           .reads_partial_rotary = true,
           .reads_rotary_dim = true,
           .default_rope_theta = 5e6},
    Family{.model_type = "ministral",
           .sizes = {.kv_heads = 8},
           .windows = WindowRule::kEveryLayerByType,
           .default_sliding_window = 4096},
    Family{.model_type = "mistral",
           .sizes = {.kv_heads = 8},
           .windows = WindowRule::kEveryLayerByType,
           .default_sliding_window = 4096},
    Family{.model_type = "mixtral",
           .mixture = &kMixtralMixture,
           .sizes = {.kv_heads = 8},
           .windows = WindowRule::kEveryLayer,
           .default_rope_theta = 1e6,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "olmo2",
           .norms = kNormsBehind,
           .query_key_norm = QueryKeyNorm::kWholeProjection,
           .attention_bias = BiasRule::kByKey,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "olmo3",
           .norms = kNormsBehind,
           .query_key_norm = QueryKeyNorm::kWholeProjection,
           .attention_bias = BiasRule::kByKey,
           .windows = WindowRule::kAllButEveryNth,
           .default_sliding_window = 4096,
           .default_window_pattern = 4,
           .default_rope_theta = 500000.0,
           .local_rope_unscaled = true,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "phi3",
           .fused = true,
           .windows = WindowRule::kEveryLayer,
           .reads_partial_rotary = true,
           .reads_longrope = true,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "qwen2",
           .sizes = {.kv_heads = 32},
           .attention_bias = BiasRule::kQueryKeyValue,
           .windows = WindowRule::kFromLayer,
           .default_sliding_window = 4096,
           .default_window_layers = 28},
    Family{.model_type = "qwen2_5_vl_text",
           .sizes = {.kv_heads = 8},
           .attention_bias = BiasRule::kQueryKeyValue,
           .windows = WindowRule::kFromLayer,
           .default_sliding_window = 4096,
           .default_window_layers = 80,
           .reads_mrope = true,
           .default_rope_theta = 1e6,
           .default_rms_norm_eps = 1e-5},
    Family{.model_type = "qwen3",
           .query_key_norm = QueryKeyNorm::kEachHead,
           .sizes = {.kv_heads = 32, .head_dim = 128},
           .attention_bias = BiasRule::kByKey,
           .windows = WindowRule::kFromLayer,
           .default_sliding_window = 4096,
           .default_window_layers = 28},
    Family{.model_type = "qwen3_5_moe_text",
           .norm_offset = 1.0F,
           .query_key_norm = QueryKeyNorm::kEachHead,
           .gated_attention = true,
           .delta = DeltaProjections::kApart,
           .mixture = &kQwen35Mixture,
           .sizes = {.kv_heads = 2, .head_dim = 256},
           .attention_bias = BiasRule::kByKey,
           .reads_partial_rotary = true,
           .default_rotary_share = 0.25,
           .reads_mrope = true},
    Family{.model_type = "qwen3_5_text",
           .norm_offset = 1.0F,
           .query_key_norm = QueryKeyNorm::kEachHead,
           .gated_attention = true,
           .delta = DeltaProjections::kApart,
           .sizes = {.kv_heads = 4, .head_dim = 256},
           .attention_bias = BiasRule::kByKey,
           .reads_partial_rotary = true,
           .default_rotary_share = 0.25,
           .reads_mrope = true},
    Family{.model_type = "qwen3_moe",
           .query_key_norm = QueryKeyNorm::kEachHead,
           .mixture = &kQwenMixture,
           .sizes = {.kv_heads = 4},
           .attention_bias = BiasRule::kByKey,
           .windows = WindowRule::kEveryLayerIfUsed,
           .default_sliding_window = 4096},
    Family{.model_type = "qwen3_next",
           .norm_offset = 1.0F,
           .query_key_norm = QueryKeyNorm::kEachHead,
           .gated_attention = true,
           .delta = DeltaProjections::kByKeyHead,
           .mixture = &kQwenNextMixture,
           .sizes = {.kv_heads = 2, .head_dim = 256},
           .attention_bias = BiasRule::kByKey,
           .reads_partial_rotary = true,
           .default_rotary_share = 0.25},
    Family{.model_type = "qwen3_vl_moe_text",
           .query_key_norm = QueryKeyNorm::kEachHead,
           .mixture = &kQwenVlMixture,
           .sizes = {.kv_heads = 16},
           .attention_bias = BiasRule::kByKey,
           .reads_mrope = true,
           .default_rope_theta = 500000.0,
           .default_tied = true},
    Family{.model_type = "qwen3_vl_text",
           .query_key_norm = QueryKeyNorm::kEachHead,
           .sizes = {.kv_heads = 32, .head_dim = 128},
           .attention_bias = BiasRule::kByKey,
           .reads_mrope = true,
           .default_rope_theta = 500000.0},
    Family{.model_type = "seed_oss",
           .sizes = {.kv_heads = 8, .head_dim = 128},
           .attention_bias = BiasRule::kByTwoKeys,
           .default_attention_bias = true,
           .reads_mlp_bias = true},
    Family{.model_type = "smollm3",
           .sizes = {.kv_heads = 4},
           .reads_no_rope_layers = true,
           .attention_bias = BiasRule::kByKey,
           .reads_mlp_bias = true,
           .windows = WindowRule::kUnrotatedIfUsed,
           .default_rope_theta = 2e6,
           .default_tied = true},
};

}  // namespace

std::vector<std::string> supported_model_types() {
  std::vector<std::string> types;
  for (const Family& family : kFamilies) {
    types.emplace_back(family.model_type);
  }
  std::sort(types.begin(), types.end());
  return types;
}

Result<const Family*> find_family(std::string_view model_type) {
  const auto it = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return family.model_type == model_type;
  });
  if (it != kFamilies.end()) {
    return &*it;
  }
  std::string supported;
  for (const std::string& type : supported_model_types()) {
    supported += (supported.empty() ? "" : ", ") + type;
  }
  return unimplemented("model_type " + printable(model_type) +
                       " is not supported; supported are: " + supported)
      .with_reason("UNSUPPORTED_MODEL_TYPE")
      .with_detail("model_type", printable(model_type))
      .with_detail("supported", supported);
}

}  // namespace rotor
