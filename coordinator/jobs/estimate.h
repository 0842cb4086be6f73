// What a job will take. Bytes on disk are exact: they follow from the tensors of the layout. Memory
// and arithmetic are sums over the plan's shapes.
#pragma once

#include "coordinator/jobs/prepared_job.h"

namespace rotor::coordinator {

/// `spec` has its defaults; `calibration_tokens` are those that will be used. Errors: those of
/// cut_into_shards and plan_safetensors, and of looking at the files to copy.
Result<v1::Estimate> estimate_job(FileSystem& fs, const v1::JobSpec& spec, const PreparedJob& job,
                                  const ModelFiles& model, int64_t calibration_tokens);

}  // namespace rotor::coordinator
