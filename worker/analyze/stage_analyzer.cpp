#include "worker/analyze/stage_analyzer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace rotor::worker {
namespace {

constexpr auto kCount = static_cast<int64_t>(kAnalyzedRotations.size());

/// Rows of the stage's input: what experts give has one for each expert that a token goes to.
int64_t input_rows(const Stage& stage, const BatchCut& cut) {
  return stage.kind == StageKind::kExpertsOut ? cut.tokens() * stage.routing.per_token
                                              : cut.tokens();
}

/// Calls use(r, rotated rows) for each rotation that is not the one before it.
template <typename Use>
Status for_each_rotation(Backend& backend, const Blocks& blocks, const Tensor& rows, Use use) {
  ROTOR_RETURN_IF_ERROR(use(size_t{0}, rows));
  Tensor rotated;
  for (size_t r = 1; r < blocks.size(); ++r) {
    if (blocks[r] == blocks[r - 1]) {
      continue;
    }
    if (rotated.empty()) {
      ROTOR_ASSIGN_OR_RETURN(rotated, backend.allocate(rows.dtype(), rows.rows(), rows.cols()));
    }
    ROTOR_RETURN_IF_ERROR(backend.rotate(rows, blocks[r], rotated));
    ROTOR_RETURN_IF_ERROR(use(r, rotated));
  }
  return {};
}

}  // namespace

Result<StageAnalyzer> StageAnalyzer::create(Backend& backend, const Stage& stage,
                                            const BatchCut& cut, const Blocks& blocks) {
  ROTOR_ASSIGN_OR_RETURN(InputPeaks peaks, InputPeaks::create(backend, cut.batches() * kCount));
  return StageAnalyzer(backend, stage, blocks,
                       RowSample(input_rows(stage, cut), stage.in_features, kSampledInputs),
                       std::move(peaks));
}

Status StageAnalyzer::add(const MicroBatch& batch, const Tensor& input) {
  ROTOR_RETURN_IF_ERROR(
      for_each_rotation(*backend_, blocks_, input, [&](size_t r, const Tensor& rotated) {
        return peaks_.fold(batch.index * kCount + static_cast<int64_t>(r), rotated);
      }));
  return sample_.add(*backend_, input);
}

Result<Peaks> StageAnalyzer::input_peaks(const BatchCut& cut) const {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<float> values, peaks_.values());
  Peaks peaks{};
  for (int64_t b = 0; b < cut.batches(); ++b) {
    const auto first = static_cast<size_t>(b * kCount);
    ROTOR_RETURN_IF_ERROR(
        expect_finite(values[first], cut.batch(b), "the input of " + stage_->linears.front().name));
    for (size_t r = 0; r < peaks.size(); ++r) {
      peaks[r] = std::max(peaks[r], values[first + r]);
    }
  }
  return peaks;
}

Result<RowSample> StageAnalyzer::sample_weight(const Linear& linear, const Tensor& weight,
                                               Peaks* peaks) const {
  const int64_t inputs = std::max<int64_t>(stage_->routing.experts, 1);
  RowSample sample(weight.rows(), weight.cols(), kSampledWeights / inputs);
  ROTOR_ASSIGN_OR_RETURN(const Tensor wide,
                         backend_->allocate(DType::kF32, weight.rows(), weight.cols()));
  ROTOR_RETURN_IF_ERROR(backend_->rotate(weight, 1, wide));
  ROTOR_RETURN_IF_ERROR(
      for_each_rotation(*backend_, blocks_, wide, [&](size_t r, const Tensor& rotated) -> Status {
        ROTOR_ASSIGN_OR_RETURN(const float largest, backend_->max_abs(rotated));
        if (!std::isfinite(largest)) {
          return invalid_argument("the weight of " + linear.name +
                                  " holds numbers that are not finite: the checkpoint is damaged")
              .with_reason("NOT_FINITE")
              .with_detail("module", linear.name);
        }
        (*peaks)[r] = std::max((*peaks)[r], largest);
        return {};
      }));
  ROTOR_RETURN_IF_ERROR(sample.add(*backend_, wide));
  return sample;
}

Result<StageFigures> StageAnalyzer::finish(int layer, const StageWeights& weights,
                                           const BatchCut& cut, DType model_dtype,
                                           Parallel& parallel) {
  StageFigures figures;
  figures.layer = layer;
  figures.family = family_of(stage_->kind);
  ROTOR_ASSIGN_OR_RETURN(Peaks peaks, input_peaks(cut));
  ROTOR_ASSIGN_OR_RETURN(figures.inputs,
                         measure_inputs(sample_, blocks_, peaks, model_dtype, parallel));
  // Linears that engines fuse have one global scale; of experts all of a stage have.
  std::map<int, Peaks> fused;
  std::vector<RowSample> samples;
  const auto group_of = [&](const Linear& linear) {
    return stage_->has_experts() ? 0 : linear.fuse_group;
  };
  for (size_t i = 0; i < stage_->linears.size(); ++i) {
    const Linear& linear = stage_->linears[i];
    ROTOR_ASSIGN_OR_RETURN(RowSample sample, sample_weight(linear, weights.linears[i].weight,
                                                           &fused[group_of(linear)]));
    samples.push_back(std::move(sample));
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    const Linear& linear = stage_->linears[i];
    ModuleFigures module{linear.name, linear.out_features, linear.in_features, {}};
    ROTOR_ASSIGN_OR_RETURN(
        module.weights,
        measure_weights(samples[i], blocks_, fused[group_of(linear)], model_dtype, parallel));
    figures.modules.push_back(std::move(module));
  }
  return figures;
}

}  // namespace rotor::worker
