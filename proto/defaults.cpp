#include "model/merge_plan.h"
#include "model/served_plan.h"
#include "proto/convert.h"
#include "proto/presets.h"
#include "proto/spec_fields.h"
#include "quant/engines/serving.h"

namespace rotor {
namespace {

constexpr int kLargestMergedBlock = 128;
constexpr int kSmallestMergedBlock = 16;
constexpr int kOnlineBlockNvfp4 = 16;
constexpr int kOnlineBlockMxfp4 = 128;

/// Values that are known and in range; the defaults that no other setting decides.
Status settle_fields(v1::JobSpec* spec) {
  for (const Setting& setting : settings()) {
    if (setting.path.starts_with("evaluation.") && !spec->has_evaluation()) {
      continue;
    }
    ROTOR_RETURN_IF_ERROR(check_field(*spec, setting));
    const std::string fallback = default_text(setting);
    if (!fallback.empty() && !is_given(*spec, setting)) {
      ROTOR_RETURN_IF_ERROR(set_field(spec, setting, fallback));
    }
  }
  return {};
}

/// The defaults that follow from other settings; their words are `rule` of the settings' rows.
void settle_recipe(v1::JobSpec* spec) {
  const bool int4 = spec->format() == v1::FORMAT_INT4;
  if (spec->method() == v1::METHOD_UNSPECIFIED) {
    spec->set_method(int4 ? v1::METHOD_GPTQ : v1::METHOD_MR_GPTQ);
  }
  if (int4 && spec->group_size() == 0) {
    spec->set_group_size(128);
  }
  if (!spec->has_act_order()) {
    spec->set_act_order(spec->method() != v1::METHOD_RTN);
  }
}

Status settle_evaluation(v1::JobSpec* spec) {
  if (!spec->has_evaluation()) {
    return {};
  }
  if (spec->evaluation().files().empty()) {
    return bad_setting("evaluation.files", "an evaluation needs at least one text file");
  }
  if (spec->propagate() == v1::PROPAGATE_ORIGINAL) {
    return bad_setting("evaluation",
                       "with propagate original no group holds the whole quantized model; evaluate "
                       "the checkpoint with `rotor eval` afterwards");
  }
  if (spec->evaluation().seq_len() == 0) {
    spec->mutable_evaluation()->set_seq_len(spec->calibration().seq_len());
  }
  return {};
}

/// The largest block that can be merged into the model; 0: none can.
int largest_merged_block(const Architecture& architecture) {
  for (int block = kLargestMergedBlock; block >= kSmallestMergedBlock; block /= 2) {
    if (architecture.config.hidden_size % block == 0) {
      return plan_merge(architecture, block).ok() ? block : 0;
    }
  }
  return 0;
}

/// Whether the one target that is named runs this model rotated online in blocks of `rotation`.
/// What cannot be planned at all is reported by the job's own plan.
bool one_target_runs(const Architecture& architecture, v1::JobSpec spec, int rotation) {
  if (spec.serve_on_size() != 1) {
    return false;
  }
  spec.set_rotation(rotation);
  const Result<ServeTarget> target = parse_serve_target(spec.serve_on(0));
  Result<QuantOptions> options = to_options(spec, architecture.config.dtype);
  if (!target.ok() || !options.ok()) {
    return false;
  }
  options->micro_batch_sequences = 1;  // not settled yet, and of no matter here
  const Result<ModelPlan> plan = make_plan(architecture, *options);
  return plan.ok() && check_target(served_checkpoint(*plan), *target).ok();
}

void settle_rotation(const Architecture& architecture, v1::JobSpec* spec) {
  if (spec->has_rotation()) {
    return;
  }
  const int block = spec->format() == v1::FORMAT_NVFP4 ? kOnlineBlockNvfp4 : kOnlineBlockMxfp4;
  const bool open = spec->method() == v1::METHOD_MR_GPTQ && spec->merged_rotation() == 0;
  const bool mxfp4 = open && spec->format() == v1::FORMAT_MXFP4;
  const bool online = open && (spec->layout() == v1::LAYOUT_FP_QUANT ||
                               (mxfp4 && one_target_runs(architecture, *spec, block)));
  spec->set_rotation(online ? block : 0);
  if (mxfp4 && !online) {
    spec->set_merged_rotation(largest_merged_block(architecture));
  }
}

}  // namespace

Result<v1::JobSpec> with_defaults(const v1::JobSpec& spec) {
  ROTOR_ASSIGN_OR_RETURN(v1::JobSpec full, with_preset(spec));
  ROTOR_RETURN_IF_ERROR(settle_fields(&full));
  if (full.format() == v1::FORMAT_UNSPECIFIED) {
    return bad_setting("format", "give nvfp4, mxfp4 or int4");
  }
  if (spec.calibration().files().empty()) {
    return bad_setting("calibration.files",
                       "no calibration file is named; give at least one text, .jsonl or .json "
                       "file");
  }
  settle_recipe(&full);
  ROTOR_RETURN_IF_ERROR(settle_evaluation(&full));
  return full;
}

void fit_to_model(const Architecture& architecture, v1::JobSpec* spec) {
  settle_rotation(architecture, spec);
  if (spec->plan().micro_batch_sequences() == 0) {
    spec->mutable_plan()->set_micro_batch_sequences(
        default_micro_batch_sequences(architecture.config, spec->calibration().sequences(),
                                      spec->calibration().seq_len(), spec->plan().lanes()));
  }
}

}  // namespace rotor
