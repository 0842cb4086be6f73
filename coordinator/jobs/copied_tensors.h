// Tensors of a checkpoint that are copied without being understood: what they mean for a job.
//
// Thread-safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "model/model_files.h"
#include "rotor/v1/job.pb.h"

namespace rotor::coordinator {

/// Those that may read the residual stream or write to it: of towers, of layers that predict
/// further tokens, of other heads.
std::vector<std::string> unread_tensors(const ModelFiles& model);

/// The settings that depend on the model (proto/defaults.h): no rotation is merged unasked beside
/// unread tensors, and patterns of `ignore` that name nothing else are taken for done.
void fit_to_model(const ModelFiles& model, v1::JobSpec* spec);

/// Error: INVALID_ARGUMENT, reason CANNOT_MERGE_ROTATION: an unread tensor would be left in the
/// basis that a merged rotation leaves.
Status check_merge(const ModelFiles& model, const v1::JobSpec& spec);

}  // namespace rotor::coordinator
