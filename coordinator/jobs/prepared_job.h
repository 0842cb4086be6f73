// What follows from a job's spec and the headers of its model: the plan, and the tensors of every
// layer and of the whole checkpoint. Computed at submit and again after a restart, never stored, so
// it cannot disagree with the program that uses it.
//
// Thread-safety: immutable once made. Cost: the shards' headers are read; memory is the plan and
// the names of the tensors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model_files.h"
#include "model/plan.h"
#include "quant/checkpoint/layout.h"
#include "rotor/v1/job.pb.h"

namespace rotor::coordinator {

struct PreparedJob {
  ModelPlan plan;
  const CheckpointLayout* layout = nullptr;
  QuantizationInfo info;
  /// What workers put for each layer: the tensors of its quantized modules.
  std::vector<std::vector<TensorSpec>> layer_tensors;
  /// Every tensor of the finished checkpoint, in model order.
  std::vector<TensorSpec> checkpoint_tensors;
  /// config.json and whatever else the layout writes beside the tensors.
  std::vector<TextFile> text_files;
  int64_t quantized_modules = 0;
};

/// `spec` has its defaults. Errors: those of to_options, make_plan and the layout.
Result<std::shared_ptr<const PreparedJob>> prepare_job(const v1::JobSpec& spec,
                                                       const ModelFiles& model);

}  // namespace rotor::coordinator
