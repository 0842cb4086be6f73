#include "quant/checkpoint/serving_modes.h"

#include <optional>
#include <string_view>

namespace rotor {
namespace {

using L = Layout;

struct Row {
  Layout layout;
  std::optional<bool> rotated;  // nothing: both
  std::optional<Activations> activations;
  std::string_view mode;
};

constexpr Activations kA16 = Activations::kA16;
constexpr Activations kA4 = Activations::kA4;

constexpr Row kRows[] = {
    // transformers reads no transform_config: it runs rotated weights on unrotated inputs
    // (tests/interop).
    {L::kCompressedTensors, false, {}, "transformers with the compressed-tensors library"},
    {L::kCompressedTensors, true, {}, "vLLM with tensor parallel size 1"},
    {L::kCompressedTensors, false, {}, "vLLM with any tensor parallel size"},
    {L::kFpQuant,
     {},
     {},
     "vLLM on Blackwell, with a tensor parallel size that leaves each GPU whole rotation blocks of "
     "every linear's input"},
    {L::kModelOpt, {}, kA4, "TensorRT-LLM, vLLM and SGLang with any tensor parallel size"},
    // Where activations stay, the name of the algorithm is one that vLLM is known to read.
    {L::kModelOpt, {}, kA16, "vLLM with any tensor parallel size"},
};

// What transformers makes of experts that are linears of their own (tests/interop): it fills the
// one tensor that it has of a layer's, of NVFP4 without the global scale, of gpt-oss with nothing.
constexpr std::string_view kNvfp4Experts = ", but for mixtures of experts";
constexpr std::string_view kOtherExperts = ", but for gpt-oss";
// What a GPU makes of it, for engines that run on several generations.
constexpr std::string_view kNvfp4A4 =
    "; activations are quantized on Blackwell, and kept on earlier GPUs, which decode the weights";

}  // namespace

std::vector<std::string> serving_modes(Layout layout, Format format, Activations activations,
                                       bool rotated) {
  std::vector<std::string> modes;
  for (const Row& row : kRows) {
    if (row.layout != layout || row.rotated.value_or(rotated) != rotated ||
        row.activations.value_or(activations) != activations) {
      continue;
    }
    std::string& mode = modes.emplace_back(row.mode);
    if (mode.starts_with("transformers")) {
      mode += format == Format::kNvfp4 ? kNvfp4Experts : kOtherExperts;
    }
    const bool several = layout != Layout::kFpQuant && mode.find("vLLM") != std::string::npos;
    if (several && format == Format::kNvfp4 && activations == Activations::kA4) {
      mode += kNvfp4A4;
    }
  }
  return modes;
}

}  // namespace rotor
