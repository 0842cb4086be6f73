#include "proto/convert.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "model/merge_plan.h"

namespace rotor {
namespace {

constexpr int64_t kMaxSequences = 1 << 20;
constexpr int64_t kMaxSeqLen = 1 << 20;
constexpr int64_t kDefaultSequences = 128;
constexpr int64_t kDefaultSeqLen = 2048;
constexpr int64_t kDefaultShardSize = 5'000'000'000;
constexpr int64_t kSmallestShardSize = 1'000'000;
constexpr int kLargestMergedBlock = 128;
constexpr int kSmallestMergedBlock = 16;

std::string strip_enum(const std::string& name, std::string_view prefix) {
  // Numbers that this version does not know have no name at all.
  std::string text = name.size() > prefix.size() ? name.substr(prefix.size()) : "UNSPECIFIED";
  if (text == "UNSPECIFIED") {
    return "";
  }
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return text;
}

Status bad_field(const std::string& field, const std::string& what) {
  return invalid_argument("spec." + field + ": " + what)
      .with_reason("BAD_SPEC")
      .with_detail("field", "spec." + field);
}

/// An unset enum takes `fallback`; a number that this version does not know is refused.
template <typename Enum>
Status settle(const std::string& field, Enum value, bool known, Enum fallback, Enum* out) {
  if (!known) {
    return bad_field(field, "unknown value " + std::to_string(static_cast<int>(value)) +
                                "; this coordinator may be older than the client");
  }
  *out = static_cast<int>(value) == 0 ? fallback : value;
  return {};
}

Status settle_count(const std::string& field, int64_t value, int64_t fallback, int64_t most,
                    int64_t* out) {
  if (value < 0 || value > most) {
    return bad_field(field, std::to_string(value) + " is out of range: 1 to " +
                                std::to_string(most) + ", or 0 for the default");
  }
  *out = value == 0 ? fallback : value;
  return {};
}

Status settle_calibration(v1::Calibration* calibration) {
  if (calibration->files().empty()) {
    return bad_field("calibration.files",
                     "no calibration file is named; give at least one text, .jsonl or .json file");
  }
  int64_t value = 0;
  ROTOR_RETURN_IF_ERROR(settle_count("calibration.sequences", calibration->sequences(),
                                     kDefaultSequences, kMaxSequences, &value));
  calibration->set_sequences(value);
  ROTOR_RETURN_IF_ERROR(settle_count("calibration.seq_len", calibration->seq_len(), kDefaultSeqLen,
                                     kMaxSeqLen, &value));
  calibration->set_seq_len(value);
  v1::CalibrationMode mode{};
  ROTOR_RETURN_IF_ERROR(settle("calibration.mode", calibration->mode(),
                               v1::CalibrationMode_IsValid(calibration->mode()),
                               v1::CALIBRATION_MODE_PACKED, &mode));
  calibration->set_mode(mode);
  return {};
}

Status settle_enums(v1::JobSpec* spec) {
  const bool int4 = spec->format() == v1::FORMAT_INT4;
  v1::Method method{};
  ROTOR_RETURN_IF_ERROR(settle("method", spec->method(), v1::Method_IsValid(spec->method()),
                               int4 ? v1::METHOD_GPTQ : v1::METHOD_MR_GPTQ, &method));
  spec->set_method(method);
  v1::Activations activations{};
  ROTOR_RETURN_IF_ERROR(settle("activations", spec->activations(),
                               v1::Activations_IsValid(spec->activations()), v1::ACTIVATIONS_A16,
                               &activations));
  spec->set_activations(activations);
  v1::ScaleSearch search{};
  ROTOR_RETURN_IF_ERROR(settle("scale_search", spec->scale_search(),
                               v1::ScaleSearch_IsValid(spec->scale_search()), v1::SCALE_SEARCH_MSE,
                               &search));
  spec->set_scale_search(search);
  v1::Propagate propagate{};
  ROTOR_RETURN_IF_ERROR(settle("propagate", spec->propagate(),
                               v1::Propagate_IsValid(spec->propagate()), v1::PROPAGATE_QUANTIZED,
                               &propagate));
  spec->set_propagate(propagate);
  v1::Sequential sequential{};
  ROTOR_RETURN_IF_ERROR(settle("sequential", spec->sequential(),
                               v1::Sequential_IsValid(spec->sequential()), v1::SEQUENTIAL_STAGE,
                               &sequential));
  spec->set_sequential(sequential);
  v1::Layout layout{};
  ROTOR_RETURN_IF_ERROR(settle("layout", spec->layout(), v1::Layout_IsValid(spec->layout()),
                               v1::LAYOUT_COMPRESSED_TENSORS, &layout));
  spec->set_layout(layout);
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

void settle_rotation(const Architecture& architecture, v1::JobSpec* spec) {
  if (spec->has_rotation()) {
    return;
  }
  const bool mr_gptq = spec->method() == v1::METHOD_MR_GPTQ;
  const bool online = mr_gptq && spec->layout() == v1::LAYOUT_FP_QUANT;
  const bool given = spec->merged_rotation() != 0;
  spec->set_rotation(!online || given ? 0 : spec->format() == v1::FORMAT_NVFP4 ? 16 : 128);
  if (mr_gptq && !online && !given && spec->format() == v1::FORMAT_MXFP4) {
    spec->set_merged_rotation(largest_merged_block(architecture));
  }
}

Status settle_plan(v1::JobSpec* spec) {
  int64_t value = 0;
  ROTOR_RETURN_IF_ERROR(settle_count("plan.lanes", spec->plan().lanes(), 8, 1024, &value));
  spec->mutable_plan()->set_lanes(static_cast<int>(value));
  ROTOR_RETURN_IF_ERROR(settle_count("plan.micro_batch_sequences",
                                     spec->plan().micro_batch_sequences(), 0, 4096, &value));
  spec->mutable_plan()->set_micro_batch_sequences(static_cast<int>(value));
  ROTOR_RETURN_IF_ERROR(
      settle_count("max_shard_size", spec->max_shard_size(), kDefaultShardSize, INT64_MAX, &value));
  if (value < kSmallestShardSize) {
    return bad_field("max_shard_size", "below 1 MB: give at least 1000000 bytes");
  }
  spec->set_max_shard_size(value);
  const double share =
      spec->limits().has_max_fallback_share() ? spec->limits().max_fallback_share() : 1.0;
  if (!(share >= 0.0 && share <= 1.0)) {
    return bad_field("limits.max_fallback_share", "it is a share of the modules, 0 to 1");
  }
  spec->mutable_limits()->set_max_fallback_share(share);
  return {};
}

Status settle_evaluation(v1::JobSpec* spec) {
  if (!spec->has_evaluation()) {
    return {};
  }
  if (spec->evaluation().files().empty()) {
    return bad_field("evaluation.files", "an evaluation needs at least one text file");
  }
  if (spec->propagate() == v1::PROPAGATE_ORIGINAL) {
    return bad_field("evaluation",
                     "with propagate original no group holds the whole quantized model; evaluate "
                     "the checkpoint with `rotor eval` afterwards");
  }
  int64_t value = 0;
  ROTOR_RETURN_IF_ERROR(settle_count("evaluation.sequences", spec->evaluation().sequences(), 0,
                                     kMaxSequences, &value));
  ROTOR_RETURN_IF_ERROR(settle_count("evaluation.seq_len", spec->evaluation().seq_len(),
                                     spec->calibration().seq_len(), kMaxSeqLen, &value));
  spec->mutable_evaluation()->set_seq_len(value);
  return {};
}

Method to_plain(v1::Method value) {
  switch (value) {
    case v1::METHOD_RTN:
      return Method::kRtn;
    case v1::METHOD_GPTQ:
      return Method::kGptq;
    default:
      return Method::kMrGptq;
  }
}

ScaleSearch to_plain(v1::ScaleSearch value) {
  return value == v1::SCALE_SEARCH_ABSMAX ? ScaleSearch::kAbsmax : ScaleSearch::kMse;
}

Result<ModuleOverride> to_plain(const v1::Override& change, int index) {
  const std::string field = "overrides[" + std::to_string(index) + "]";
  if (change.pattern().empty()) {
    return bad_field(field + ".pattern", "it is empty; name modules, for example '*.down_proj'");
  }
  ModuleOverride plain;
  plain.pattern = change.pattern();
  if (!v1::Method_IsValid(change.method()) || !v1::ScaleSearch_IsValid(change.scale_search())) {
    return bad_field(field, "unknown method or scale_search");
  }
  if (change.method() != v1::METHOD_UNSPECIFIED) {
    plain.method = to_plain(change.method());
  }
  if (change.scale_search() != v1::SCALE_SEARCH_UNSPECIFIED) {
    plain.scale_search = to_plain(change.scale_search());
  }
  if (change.has_act_order()) {
    plain.act_order = change.act_order();
  }
  if (change.has_damping()) {
    if (!(change.damping() > 0.0 && change.damping() <= 1.0)) {
      return bad_field(field + ".damping", "it is above 0 and at most 1");
    }
    plain.damping = change.damping();
  }
  return plain;
}

}  // namespace

Result<v1::JobSpec> with_defaults(const v1::JobSpec& spec) {
  v1::JobSpec full = spec;
  if (!v1::Format_IsValid(spec.format()) || spec.format() == v1::FORMAT_UNSPECIFIED) {
    return bad_field("format", "give nvfp4, mxfp4 or int4");
  }
  ROTOR_RETURN_IF_ERROR(settle_enums(&full));
  ROTOR_RETURN_IF_ERROR(settle_calibration(full.mutable_calibration()));
  if (full.format() == v1::FORMAT_INT4 && full.group_size() == 0) {
    full.set_group_size(128);
  }
  if (!full.has_act_order()) {
    full.set_act_order(full.method() != v1::METHOD_RTN);
  }
  if (!full.has_damping()) {
    full.set_damping(0.01);
  }
  if (!full.has_refine_passes()) {
    full.set_refine_passes(2);
  }
  if (!full.has_least_expert_share()) {
    full.set_least_expert_share(0.005);
  }
  ROTOR_RETURN_IF_ERROR(settle_plan(&full));
  ROTOR_RETURN_IF_ERROR(settle_evaluation(&full));
  return full;
}

Format to_plain(v1::Format value) {
  switch (value) {
    case v1::FORMAT_MXFP4:
      return Format::kMxfp4;
    case v1::FORMAT_INT4:
      return Format::kInt4;
    default:
      return Format::kNvfp4;
  }
}

Activations to_plain(v1::Activations value) {
  return value == v1::ACTIVATIONS_A4 ? Activations::kA4 : Activations::kA16;
}

Layout to_plain(v1::Layout value) {
  switch (value) {
    case v1::LAYOUT_FP_QUANT:
      return Layout::kFpQuant;
    case v1::LAYOUT_MODELOPT:
      return Layout::kModelOpt;
    case v1::LAYOUT_GPT_OSS:
      return Layout::kGptOss;
    default:
      return Layout::kCompressedTensors;
  }
}

void fit_to_model(const Architecture& architecture, v1::JobSpec* spec) {
  settle_rotation(architecture, spec);
  if (spec->plan().micro_batch_sequences() == 0) {
    spec->mutable_plan()->set_micro_batch_sequences(
        default_micro_batch_sequences(architecture.config, spec->calibration().sequences(),
                                      spec->calibration().seq_len(), spec->plan().lanes()));
  }
}

Result<QuantOptions> to_options(const v1::JobSpec& spec, DType model_dtype) {
  QuantOptions options;
  options.layout = to_plain(spec.layout());
  ROTOR_ASSIGN_OR_RETURN(options.scheme, make_scheme(to_plain(spec.format()), spec.group_size(),
                                                     model_dtype, options.layout));
  options.method = to_plain(spec.method());
  options.activations = to_plain(spec.activations());
  options.rotation = spec.rotation();
  options.merged_rotation = spec.merged_rotation();
  options.scale_search = to_plain(spec.scale_search());
  options.act_order = spec.act_order();
  options.damping = spec.damping();
  options.refine_passes = spec.refine_passes();
  options.least_expert_share = spec.least_expert_share();
  options.propagate =
      spec.propagate() == v1::PROPAGATE_ORIGINAL ? Propagate::kOriginal : Propagate::kQuantized;
  options.sequential =
      spec.sequential() == v1::SEQUENTIAL_BLOCK ? Sequential::kBlock : Sequential::kStage;
  options.ignore.assign(spec.ignore().begin(), spec.ignore().end());
  for (int i = 0; i < spec.overrides_size(); ++i) {
    ROTOR_ASSIGN_OR_RETURN(ModuleOverride change, to_plain(spec.overrides(i), i));
    options.overrides.push_back(std::move(change));
  }
  options.lanes = spec.plan().lanes();
  options.micro_batch_sequences = spec.plan().micro_batch_sequences();
  return options;
}

std::string cli_name(v1::Format value) {
  return strip_enum(v1::Format_Name(value), "FORMAT_");
}
std::string cli_name(v1::Method value) {
  return strip_enum(v1::Method_Name(value), "METHOD_");
}
std::string cli_name(v1::Activations value) {
  return strip_enum(v1::Activations_Name(value), "ACTIVATIONS_");
}
std::string cli_name(v1::ScaleSearch value) {
  return strip_enum(v1::ScaleSearch_Name(value), "SCALE_SEARCH_");
}
std::string cli_name(v1::Propagate value) {
  return strip_enum(v1::Propagate_Name(value), "PROPAGATE_");
}
std::string cli_name(v1::Sequential value) {
  return strip_enum(v1::Sequential_Name(value), "SEQUENTIAL_");
}
std::string cli_name(v1::Layout value) {
  return strip_enum(v1::Layout_Name(value), "LAYOUT_");
}
std::string cli_name(v1::CalibrationMode value) {
  return strip_enum(v1::CalibrationMode_Name(value), "CALIBRATION_MODE_");
}
std::string state_name(v1::JobState value) {
  const std::string name = v1::JobState_Name(value);
  const size_t prefix = std::string_view("JOB_STATE_").size();
  return name.size() > prefix ? name.substr(prefix) : "UNSPECIFIED";
}

}  // namespace rotor
