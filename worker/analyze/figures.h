// What an analysis finds out of a model: how its weights and the inputs of its stages are spread,
// and what each format would make of them under each rotation, before any solver.
//
// Thread-safety: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/architecture.h"
#include "quant/analysis/distribution.h"
#include "quant/analysis/format_errors.h"
#include "quant/scheme.h"

namespace rotor::worker {

/// Blocks that are asked for; 0: no rotation.
inline constexpr std::array<int, 5> kAnalyzedRotations = {0, 16, 32, 64, 128};
/// In groups of 16, 32 and 128, as jobs have them by default.
inline constexpr std::array<Format, 3> kAnalyzedFormats = {Format::kNvfp4, Format::kMxfp4,
                                                           Format::kInt4};

/// Stages of all families by what they are: attention's inputs and output, the MLP's.
enum class StageFamily { kQkv, kOut, kGateUp, kDown };
inline constexpr std::array<StageFamily, 4> kStageFamilies = {
    StageFamily::kQkv, StageFamily::kOut, StageFamily::kGateUp, StageFamily::kDown};
/// "qkv", "o", "gate_up", "down"
std::string_view to_string(StageFamily family);
StageFamily family_of(StageKind kind);

struct FormatFigures {
  Format format = Format::kNvfp4;
  int64_t group_size = 0;
  FormatErrors absmax;  // scales by the largest magnitude; inputs have no others
  /// Of weights: scales searched for the least squared error, which jobs begin with.
  std::optional<FormatErrors> searched;
};

struct RotationFigures {
  int rotation = 0;                    // asked for
  int block = 0;                       // that a job's plan makes of it for this stage; 0: none
  Distribution values;                 // rotated
  std::vector<FormatFigures> formats;  // whose group divides the width
};

/// In the order of kAnalyzedRotations.
using Figures = std::vector<RotationFigures>;

struct ModuleFigures {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  Figures weights;
};

struct StageFigures {
  int layer = 0;
  StageFamily family = StageFamily::kQkv;
  std::vector<ModuleFigures> modules;
  Figures inputs;  // that they share; of experts those of all together
};

/// The figures of one format under one rotation; null where the group does not divide the width.
const FormatFigures* find_figures(const Figures& figures, size_t rotation, Format format);

}  // namespace rotor::worker
