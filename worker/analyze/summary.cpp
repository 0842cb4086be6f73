#include "worker/analyze/summary.h"

namespace rotor::worker {
namespace {

bool laplace_fits_better(const Distribution& values) {
  return values.laplace.log_likelihood > values.normal.log_likelihood;
}

/// None where some matrix cannot have the format.
std::optional<FormatSummary> summarize_format(const std::vector<const Figures*>& figures, size_t r,
                                              Format format) {
  FormatSummary mean;
  const double share = 1.0 / static_cast<double>(figures.size());
  for (const Figures* one : figures) {
    const FormatFigures* found = find_figures(*one, r, format);
    if (found == nullptr) {
      return std::nullopt;
    }
    const FormatSummary own = summary_of(*found);
    mean.format = own.format;
    mean.group_size = own.group_size;
    mean.relative += own.relative * share;
    mean.top += own.top * share;
    mean.total += own.total * share;
    mean.octaves += own.octaves * share;
    if (own.searched) {
      mean.searched = mean.searched.value_or(0.0) + *own.searched * share;
    }
  }
  return mean;
}

}  // namespace

FormatSummary summary_of(const FormatFigures& figures) {
  const FormatErrors& errors = figures.absmax;
  return {figures.format,
          figures.group_size,
          errors.relative(),
          errors.top(),
          errors.total(),
          errors.octaves(),
          figures.searched ? std::optional(figures.searched->total()) : std::nullopt};
}

Summary summarize(const std::vector<const Figures*>& figures) {
  Summary summary;
  summary.matrices = std::ssize(figures);
  if (figures.empty()) {
    return summary;
  }
  const double share = 1.0 / static_cast<double>(figures.size());
  for (size_t r = 0; r < kAnalyzedRotations.size(); ++r) {
    RotationSummary rotation;
    rotation.rotation = kAnalyzedRotations[r];
    for (const Figures* one : figures) {
      const Distribution& values = (*one)[r].values;
      rotation.excess_kurtosis += values.excess_kurtosis * share;
      rotation.laplace_share += laplace_fits_better(values) ? share : 0.0;
      rotation.normal_distance += values.normal.distance * share;
      rotation.laplace_distance += values.laplace.distance * share;
    }
    for (const Format format : kAnalyzedFormats) {
      if (const auto of_format = summarize_format(figures, r, format)) {
        rotation.formats.push_back(*of_format);
      }
    }
    summary.rotations.push_back(std::move(rotation));
  }
  return summary;
}

Summary summarize_weights(const std::vector<StageFigures>& stages, const StageFilter& chosen) {
  std::vector<const Figures*> figures;
  for (const StageFigures& stage : stages) {
    if (chosen(stage)) {
      for (const ModuleFigures& module : stage.modules) {
        figures.push_back(&module.weights);
      }
    }
  }
  return summarize(figures);
}

Summary summarize_inputs(const std::vector<StageFigures>& stages, const StageFilter& chosen) {
  std::vector<const Figures*> figures;
  for (const StageFigures& stage : stages) {
    if (chosen(stage)) {
      figures.push_back(&stage.inputs);
    }
  }
  return summarize(figures);
}

}  // namespace rotor::worker
