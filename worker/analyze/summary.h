// The figures of many matrices as one row a rotation: means over the matrices, each counting alike.
//
// Thread-safety: pure functions.
#pragma once

#include <functional>
#include <vector>

#include "worker/analyze/figures.h"

namespace rotor::worker {

struct FormatSummary {
  Format format = Format::kNvfp4;
  int64_t group_size = 0;
  double relative = 0.0;  // FormatErrors, scales by the largest magnitude
  double top = 0.0;
  double total = 0.0;
  double octaves = 0.0;            // that scales have to cover
  std::optional<double> searched;  // total with searched scales; of weights
};

FormatSummary summary_of(const FormatFigures& figures);

struct RotationSummary {
  int rotation = 0;
  double excess_kurtosis = 0.0;
  double laplace_share = 0.0;  // of the matrices that a Laplace fits better than a Normal
  double normal_distance = 0.0;
  double laplace_distance = 0.0;
  std::vector<FormatSummary> formats;  // that all of the matrices can have
};

struct Summary {
  int64_t matrices = 0;
  std::vector<RotationSummary> rotations;
};

Summary summarize(const std::vector<const Figures*>& figures);

/// Those of the stages that `chosen` says.
using StageFilter = std::function<bool(const StageFigures&)>;
Summary summarize_weights(const std::vector<StageFigures>& stages, const StageFilter& chosen);
Summary summarize_inputs(const std::vector<StageFigures>& stages, const StageFilter& chosen);

}  // namespace rotor::worker
