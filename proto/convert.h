// rotor.v1.JobSpec and the plain rotor::QuantOptions: the one place that knows both, and the
// defaults that follow from other settings; all others are rows of model/settings.h.
#pragma once

#include <string>

#include "model/algorithm_version.h"
#include "model/plan.h"
#include "proto/enum_names.h"
#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

/// The spec with every default filled in that does not depend on the model (fit_to_model). Defaults
/// follow the format: NVFP4 and MXFP4 mr-gptq, INT4 gptq with group 128; all with mse scales and
/// act-order. Errors: INVALID_ARGUMENT for a format that is missing or unknown, unknown enum
/// values, numbers out of their settings' ranges, an evaluation with PROPAGATE_ORIGINAL, an
/// unknown preset.
Result<v1::JobSpec> with_defaults(const v1::JobSpec& spec);

/// The defaults that depend on the model, in a spec that has the others: the size of a micro-batch,
/// and of mr-gptq the rotation. MXFP4's is merged, in the largest block up to 128 that the model
/// takes, and NVFP4 has none, so that every engine runs the checkpoint with any tensor parallelism.
/// What is written as fp-quant is rotated online, since its loaders want that, and so is MXFP4
/// where the one target that is named (serve_on) runs it.
void fit_to_model(const Architecture& architecture, v1::JobSpec* spec);

/// The options of a spec that has its defaults; `model_dtype` is what INT4 scales are stored in.
Result<QuantOptions> to_options(const v1::JobSpec& spec, DType model_dtype);

/// Enum values of a spec that has its defaults.
Format to_plain(v1::Format value);
Method to_plain(v1::Method value);
Activations to_plain(v1::Activations value);
Layout to_plain(v1::Layout value);

}  // namespace rotor
