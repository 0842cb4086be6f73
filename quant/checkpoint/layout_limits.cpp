#include "quant/checkpoint/layout_limits.h"

#include <bit>
#include <string>

namespace rotor {
namespace {

using L = Layout;
using F = Format;

// The order of LayoutLimits' members.
// clang-format off
constexpr LayoutLimits kRows[] = {
    //                                                          rotates dense,  ignores  stacked
    // layout              format     a16    a4     rotation    all     bf16    unfused  experts
    {L::kCompressedTensors, F::kNvfp4, true,  true,  2,  4096,   false,  false,  false,   false},
    {L::kCompressedTensors, F::kMxfp4, true,  true,  2,  4096,   false,  false,  false,   false},
    {L::kCompressedTensors, F::kInt4,  true,  false, 2,  4096,   false,  false,  false,   false},
    {L::kFpQuant,           F::kNvfp4, false, true,  16, 128,    true,   true,   true,   false},
    {L::kFpQuant,           F::kMxfp4, false, true,  32, 128,    true,   true,   true,   false},
    {L::kModelOpt,          F::kNvfp4, true,  true,  0,  0,      false,  false,  false,   false},
    {L::kGptOss,           F::kMxfp4, true,  false, 0,  0,      false,  false,  false,   true},
};
// clang-format on

Status unsupported(Layout layout, const std::string& what) {
  return invalid_argument("layout " + std::string(to_string(layout)) + " " + what)
      .with_reason("UNSUPPORTED_COMBINATION")
      .with_detail("layout", std::string(to_string(layout)));
}

std::string formats_of(Layout layout) {
  std::string text;
  for (const LayoutLimits& row : kRows) {
    if (row.layout == layout) {
      text += (text.empty() ? "" : ", ") + std::string(to_string(row.format));
    }
  }
  return text;
}

std::string layouts_of(Format format) {
  std::string text;
  for (const LayoutLimits& row : kRows) {
    if (row.format == format) {
      text += (text.empty() ? "" : " or ") + std::string(to_string(row.layout));
    }
  }
  return text;
}

}  // namespace

Result<const LayoutLimits*> find_limits(Layout layout, Format format, Activations activations) {
  for (const LayoutLimits& row : kRows) {
    if (row.layout != layout || row.format != format) {
      continue;
    }
    if (activations == Activations::kA4 ? row.a4 : row.a16) {
      return &row;
    }
    return unsupported(layout, "with " + std::string(to_string(format)) +
                                   " is run with activations " + (row.a4 ? "a4" : "a16") +
                                   " alone, not " + std::string(to_string(activations)) +
                                   ": add --activations " +
                                   (row.a4 ? "a4, or choose --layout compressed-tensors"
                                           : "a16, or choose --format nvfp4 or mxfp4"));
  }
  return unsupported(layout, "holds " + formats_of(layout) + ", not " +
                                 std::string(to_string(format)) + ": choose one of these, or " +
                                 "--layout " + layouts_of(format));
}

Status check_rotation(const LayoutLimits& limits, int block) {
  const std::string asked = block == 0 ? "none" : std::to_string(block);
  if (limits.largest_rotation == 0) {
    return block == 0 ? Status()
                      : unsupported(limits.layout,
                                    "has no field for an online rotation, and blocks of " + asked +
                                        " are asked for: add --rotation none or merged:16, or "
                                        "choose --layout compressed-tensors");
  }
  if (block == 0 && !limits.rotates_all) {
    return {};
  }
  const bool power = block > 0 && std::has_single_bit(static_cast<unsigned>(block));
  if (power && block >= limits.smallest_rotation && block <= limits.largest_rotation) {
    return {};
  }
  return unsupported(
      limits.layout,
      "with " + std::string(to_string(limits.format)) + " rotates in blocks of a power of two, " +
          std::to_string(limits.smallest_rotation) + " to " +
          std::to_string(limits.largest_rotation) + ", not " + asked + ": add --rotation " +
          std::to_string(limits.smallest_rotation) + " up to " +
          std::to_string(limits.largest_rotation) + ", or choose --layout compressed-tensors");
}

}  // namespace rotor
