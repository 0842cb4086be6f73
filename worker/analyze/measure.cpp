#include "worker/analyze/measure.h"

#include <utility>

#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"

namespace rotor::worker {
namespace {

using Round = Result<FormatFigures> (*)(const RotatedRows&, const QuantScheme&, float global_scale,
                                        Parallel&);

Result<FormatFigures> round_weights(const RotatedRows& rows, const QuantScheme& scheme,
                                    float global_scale, Parallel& parallel) {
  FormatFigures figures{scheme.format, scheme.group_size, {}, {}};
  ROTOR_ASSIGN_OR_RETURN(figures.absmax,
                         weight_errors(rows, scheme, global_scale, ScaleSearch::kAbsmax, parallel));
  ROTOR_ASSIGN_OR_RETURN(figures.searched,
                         weight_errors(rows, scheme, global_scale, ScaleSearch::kMse, parallel));
  return figures;
}

Result<FormatFigures> round_inputs(const RotatedRows& rows, const QuantScheme& scheme,
                                   float global_scale, Parallel& parallel) {
  FormatFigures figures{scheme.format, scheme.group_size, {}, {}};
  ROTOR_ASSIGN_OR_RETURN(figures.absmax, input_errors(rows, scheme, global_scale, parallel));
  return figures;
}

Result<Figures> measure(const RowSample& sample, const Blocks& blocks, const Peaks& peaks,
                        DType model_dtype, Round round, Parallel& parallel) {
  Figures all;
  std::vector<float> rotated;
  RotatedRows rows{sample.values().data(), sample.values().data(), sample.rows(), sample.cols(), 0};
  for (size_t r = 0; r < blocks.size(); ++r) {
    if (r > 0 && blocks[r] == blocks[r - 1]) {
      all.push_back(all.back());
      all.back().rotation = kAnalyzedRotations[r];
      continue;
    }
    rows.block = blocks[r];
    if (rows.block > 0) {
      rotated.resize(sample.values().size());
      ROTOR_RETURN_IF_ERROR(rotate_rows(rows.original, DType::kF32, rows.rows, rows.cols,
                                        rows.block, rotated.data(), parallel));
      rows.rotated = rotated.data();
    }
    RotationFigures figures{kAnalyzedRotations[r], blocks[r], {}, {}};
    figures.values = describe_values({rows.rotated, sample.values().size()});
    for (const Format format : kAnalyzedFormats) {
      ROTOR_ASSIGN_OR_RETURN(const QuantScheme scheme, make_scheme(format, 0, model_dtype));
      if (rows.cols % scheme.group_size == 0) {
        ROTOR_ASSIGN_OR_RETURN(FormatFigures of_format,
                               round(rows, scheme, global_scale_for(scheme, peaks[r]), parallel));
        figures.formats.push_back(std::move(of_format));
      }
    }
    all.push_back(std::move(figures));
  }
  return all;
}

}  // namespace

Result<Figures> measure_weights(const RowSample& rows, const Blocks& blocks, const Peaks& peaks,
                                DType model_dtype, Parallel& parallel) {
  return measure(rows, blocks, peaks, model_dtype, round_weights, parallel);
}

Result<Figures> measure_inputs(const RowSample& rows, const Blocks& blocks, const Peaks& peaks,
                               DType model_dtype, Parallel& parallel) {
  return measure(rows, blocks, peaks, model_dtype, round_inputs, parallel);
}

}  // namespace rotor::worker
