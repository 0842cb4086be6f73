#include "worker/analyze/recommend.h"

#include <algorithm>
#include <span>
#include <utility>

#include "quant/base/units.h"

namespace rotor::worker {
namespace {

using Stages = std::span<const StageFigures>;

/// Mean over the modules; none where some module cannot have the format.
std::optional<double> error_of(Stages stages, Activations activations, Format format, size_t r) {
  double sum = 0.0;
  int64_t modules = 0;
  for (const StageFigures& stage : stages) {
    double of_input = 0.0;
    if (activations == Activations::kA4) {
      const FormatFigures* inputs = find_figures(stage.inputs, r, format);
      if (inputs == nullptr) {
        return std::nullopt;
      }
      of_input = inputs->absmax.total();
    }
    for (const ModuleFigures& module : stage.modules) {
      const FormatFigures* weights = find_figures(module.weights, r, format);
      if (weights == nullptr) {
        return std::nullopt;
      }
      sum += of_input + weights->searched->total();
      ++modules;
    }
  }
  return modules > 0 ? std::optional(sum / static_cast<double>(modules)) : std::nullopt;
}

double bits_of(Format format) {
  const QuantScheme scheme = make_scheme(format, 0, DType::kBf16).value();
  return 4.0 + 8.0 * static_cast<double>(dtype_size(scheme.scale_dtype)) /
                   static_cast<double>(scheme.group_size);
}

std::optional<Candidate> candidate(Stages stages, Activations activations, Format format) {
  std::array<double, kAnalyzedRotations.size()> errors{};
  for (size_t r = 0; r < errors.size(); ++r) {
    const std::optional<double> error = error_of(stages, activations, format, r);
    if (!error) {
      return std::nullopt;
    }
    errors[r] = *error;
  }
  const auto least = std::min_element(errors.begin(), errors.end());
  const auto chosen = std::find_if(errors.begin(), errors.end(),
                                   [&](double error) { return error <= kWorthIt * *least; });
  const auto rotation_at = [&](const double* at) {
    return kAnalyzedRotations[static_cast<size_t>(at - errors.data())];
  };
  Candidate result;
  result.format = format;
  result.rotation = rotation_at(&*chosen);
  result.error = *chosen;
  result.unrotated_error = errors[0];
  result.best_rotation = rotation_at(&*least);
  result.best_error = *least;
  result.bits = bits_of(format);
  return result;
}

/// The one with the least error first.
std::vector<Candidate> candidates(Stages stages, Activations activations) {
  std::vector<Candidate> found;
  for (const Format format : kAnalyzedFormats) {
    if (activations == Activations::kA4 && format == Format::kInt4) {
      continue;
    }
    if (const auto one = candidate(stages, activations, format)) {
      found.push_back(*one);
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Candidate& a, const Candidate& b) { return a.error < b.error; });
  return found;
}

std::string percent(double share) {
  return format_number("%.3g %%", 100.0 * share);
}

/// "nvfp4 (4.5 bits a weight), unrotated"
std::string in_words(const Candidate& candidate) {
  return std::string(to_string(candidate.format)) +
         format_number(" (%g bits a weight), ", candidate.bits) +
         (candidate.rotation == 0 ? "unrotated"
                                  : "rotated in blocks of " + std::to_string(candidate.rotation));
}

std::string reason_for(const std::vector<Candidate>& found, Activations activations) {
  if (found.empty()) {
    return "no format's group divides the width of every module";
  }
  const Candidate& best = found.front();
  const std::string what = activations == Activations::kA4 ? "weights and inputs" : "weights";
  std::string text = in_words(best) + ", leaves the least error in the " + what +
                     " when they are rounded: " + percent(best.error) + " of their squares";
  for (size_t i = 1; i < found.size(); ++i) {
    text += "; " + in_words(found[i]) + ": " + percent(found[i].error);
  }
  text += ". ";
  if (best.rotation != 0) {
    return text + "Unrotated it would be " + percent(best.unrotated_error) + ".";
  }
  if (best.best_rotation == 0) {
    return text + "Every rotation makes it larger.";
  }
  return text + "Blocks of " + std::to_string(best.best_rotation) + " would make it " +
         percent(best.best_error) + ", which is too little for what a rotation costs.";
}

}  // namespace

Recommendation recommend(const std::vector<StageFigures>& stages, Activations activations) {
  Recommendation result;
  result.activations = activations;
  result.candidates = candidates(stages, activations);
  result.reason = reason_for(result.candidates, activations);
  for (const StageFigures& stage : stages) {
    const std::vector<Candidate> own = candidates({&stage, 1}, activations);
    if (!own.empty()) {
      result.stages.push_back({stage.layer, stage.family, stage.modules.front().name, own.front()});
    }
  }
  return result;
}

}  // namespace rotor::worker
