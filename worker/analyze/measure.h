// From rows to figures: each rotation once, each format under each of them.
//
// Thread-safety: plain functions. Errors: those of quant/analysis/format_errors.h. Cost: for each
// rotation one of the rows, a partial sort, and about twenty passes.
#pragma once

#include <array>
#include <vector>

#include "quant/base/parallel.h"
#include "worker/analyze/figures.h"
#include "worker/analyze/row_sample.h"

namespace rotor::worker {

/// One of each rotation.
using Blocks = std::array<int, kAnalyzedRotations.size()>;
using Peaks = std::array<float, kAnalyzedRotations.size()>;

/// `blocks`: what the stage's plans make of the rotations; neighbours that are alike are measured
/// once. `peaks`: the largest magnitude under each, over all rows and all that shares a global
/// scale. `model_dtype`: of INT4's scales.
Result<Figures> measure_weights(const RowSample& rows, const Blocks& blocks, const Peaks& peaks,
                                DType model_dtype, Parallel& parallel);
Result<Figures> measure_inputs(const RowSample& rows, const Blocks& blocks, const Peaks& peaks,
                               DType model_dtype, Parallel& parallel);

}  // namespace rotor::worker
