#include "proto/presets.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <string>

namespace rotor {
namespace {

// clang-format off
constexpr Preset kPresets[] = {
    {"any", "vLLM and SGLang, any GPU, any tensor parallelism",
     "format: FORMAT_NVFP4 activations: ACTIVATIONS_A16 serve_on: 'vllm' serve_on: 'sglang'"},
    {"vllm-blackwell", "vLLM on Blackwell, activations in 4 bits, any tensor parallelism",
     "format: FORMAT_NVFP4 activations: ACTIVATIONS_A4 serve_on: 'vllm,gpu=blackwell'"},
    {"vllm-mxfp4", "vLLM, rotated online at tensor parallelism 1 and merged above",
     "format: FORMAT_MXFP4 activations: ACTIVATIONS_A16 serve_on: 'vllm'"},
    {"sglang-blackwell", "SGLang on Blackwell, activations in 4 bits, any tensor parallelism",
     "format: FORMAT_NVFP4 activations: ACTIVATIONS_A4 serve_on: 'sglang,gpu=blackwell'"},
    {"tensorrt-llm", "TensorRT-LLM, any tensor parallelism",
     "format: FORMAT_NVFP4 activations: ACTIVATIONS_A16 layout: LAYOUT_MODELOPT "
     "serve_on: 'tensorrt-llm'"},
    {"tensorrt-llm-blackwell", "TensorRT-LLM on Blackwell, activations in 4 bits",
     "format: FORMAT_NVFP4 activations: ACTIVATIONS_A4 layout: LAYOUT_MODELOPT "
     "serve_on: 'tensorrt-llm,gpu=blackwell'"},
    {"transformers", "transformers, mixtures of experts too",
     "format: FORMAT_MXFP4 activations: ACTIVATIONS_A16 serve_on: 'transformers'"},
};
// clang-format on

}  // namespace

std::span<const Preset> presets() {
  return kPresets;
}

Result<v1::JobSpec> with_preset(const v1::JobSpec& spec) {
  if (spec.preset().empty()) {
    return spec;
  }
  const auto found = std::find_if(std::begin(kPresets), std::end(kPresets),
                                  [&](const Preset& p) { return p.name == spec.preset(); });
  if (found == std::end(kPresets)) {
    std::string names;
    for (const Preset& preset : kPresets) {
      names += (names.empty() ? "" : ", ") + std::string(preset.name);
    }
    return invalid_argument("spec.preset: no preset '" + spec.preset() + "' is known; there are " +
                            names)
        .with_reason("BAD_SPEC")
        .with_detail("field", "spec.preset");
  }
  v1::JobSpec full;
  if (!google::protobuf::TextFormat::ParseFromString(std::string(found->spec), &full)) {
    return internal_error("preset " + spec.preset() + " is no JobSpec");
  }
  if (!spec.serve_on().empty()) {
    full.clear_serve_on();
  }
  full.MergeFrom(spec);
  return full;
}

}  // namespace rotor
