#include "quant/checkpoint/serving_modes.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

std::string modes(Layout layout, Format format, Activations activations, bool rotated) {
  std::string text;
  for (const std::string& mode : serving_modes(layout, format, activations, rotated)) {
    text += mode + "\n";
  }
  return text;
}

bool holds(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

TEST(ServingModes, AnOnlineRotationLimitsTensorParallelism) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const auto of = [&](bool rotated) {
      return modes(Layout::kCompressedTensors, format, Activations::kA16, rotated);
    };
    EXPECT_TRUE(holds(of(true), "vLLM with tensor parallel size 1"));
    EXPECT_FALSE(holds(of(true), "any tensor parallel size"));
    EXPECT_TRUE(holds(of(false), "vLLM with any tensor parallel size"));
    EXPECT_FALSE(holds(of(true), "transformers"));
    EXPECT_TRUE(holds(of(false), "transformers"));
  }
}

TEST(ServingModes, Nvfp4ActivationsNeedBlackwell) {
  constexpr char kWords[] = "activations are quantized on Blackwell";
  EXPECT_TRUE(
      holds(modes(Layout::kCompressedTensors, Format::kNvfp4, Activations::kA4, false), kWords));
  EXPECT_TRUE(holds(modes(Layout::kModelOpt, Format::kNvfp4, Activations::kA4, false), kWords));
  EXPECT_FALSE(
      holds(modes(Layout::kCompressedTensors, Format::kNvfp4, Activations::kA16, false), kWords));
  EXPECT_FALSE(
      holds(modes(Layout::kCompressedTensors, Format::kMxfp4, Activations::kA4, false), kWords));
}

TEST(ServingModes, OtherLayouts) {
  const std::string fp = modes(Layout::kFpQuant, Format::kMxfp4, Activations::kA4, true);
  EXPECT_TRUE(holds(fp, "vLLM on Blackwell"));
  EXPECT_TRUE(
      holds(modes(Layout::kModelOpt, Format::kNvfp4, Activations::kA4, false), "TensorRT-LLM"));
  EXPECT_FALSE(
      holds(modes(Layout::kModelOpt, Format::kNvfp4, Activations::kA16, false), "TensorRT-LLM"));
}

}  // namespace
}  // namespace rotor
