// Words for the table of engine_rules.cpp.
#include <array>

#include "quant/engines/engine_rules.h"

namespace rotor {
namespace {

/// The names of the values in a set, "any" for all.
template <size_t N>
std::string names_of(Bits bits, const std::array<std::string_view, N>& names) {
  if (bits == 0) {
    return "any";
  }
  std::string text;
  for (size_t i = 0; i < N; ++i) {
    if (((bits >> i) & 1) != 0) {
      text += (text.empty() ? "" : ", ") + std::string(names[i]);
    }
  }
  return text;
}

std::string versions_of(const EngineRule& rule) {
  std::string text;
  const std::span<const std::string_view> versions = engine_versions(rule.engine);
  for (size_t i = 0; i < versions.size(); ++i) {
    if (has_bit(rule.versions, static_cast<int>(i))) {
      text += (text.empty() ? "" : ", ") + std::string(versions[i]);
    }
  }
  return text;
}

std::string_view to_string(Trait value) {
  constexpr std::array<std::string_view, 5> kNames = {"any", "fused on disk (phi3)", "with experts",
                                                      "gpt-oss", "renamed (olmo2)"};
  return kNames[static_cast<size_t>(value)];
}

}  // namespace

std::string_view to_string(Verdict value) {
  constexpr std::array<std::string_view, 5> kNames = {"runs", "runs as W4A4", "not known to run",
                                                      "fails", "loads and is wrong"};
  return kNames[static_cast<size_t>(value)];
}

std::string_view to_string(Evidence value) {
  constexpr std::array<std::string_view, 4> kNames = {"seen", "read in source", "reported", "none"};
  return kNames[static_cast<size_t>(value)];
}

std::string engine_rules_markdown() {
  constexpr std::array<std::string_view, 4> kLayouts = {"compressed-tensors", "fp-quant",
                                                        "modelopt", "gpt-oss"};
  constexpr std::array<std::string_view, 3> kFormats = {"nvfp4", "mxfp4", "int4"};
  constexpr std::array<std::string_view, 2> kActivations = {"a16", "a4"};
  constexpr std::array<std::string_view, 4> kBlocks = {"none", "16", "32 - 128", "256"};
  constexpr std::array<std::string_view, 3> kGpuNames = {"Ampere", "Hopper", "Blackwell"};
  constexpr std::array<std::string_view, 2> kParallel = {"1", "over 1"};
  std::string text =
      "| engine | versions | layout | format | activations | online block | model | GPU | tensor "
      "parallelism | verdict | evidence |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const EngineRule& rule : engine_rules()) {
    std::string verdict(to_string(rule.verdict));
    if (!rule.why.empty()) {
      verdict += ": " + std::string(rule.why);
    }
    for (const std::string& cell :
         {std::string(title(rule.engine)), versions_of(rule), names_of(rule.layouts, kLayouts),
          names_of(rule.formats, kFormats), names_of(rule.activations, kActivations),
          names_of(rule.blocks, kBlocks), std::string(to_string(rule.trait)),
          names_of(rule.gpus, kGpuNames), names_of(rule.parallel, kParallel), verdict,
          std::string(to_string(rule.evidence)) + ": " + std::string(rule.source)}) {
      text += "| " + cell + " ";
    }
    text += "|\n";
  }
  return text;
}

}  // namespace rotor
