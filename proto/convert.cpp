#include "proto/convert.h"

#include <utility>

#include "proto/spec_fields.h"

namespace rotor {
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

namespace {

Result<ModuleOverride> to_override(const v1::Override& change, int index) {
  const std::string field = "overrides[" + std::to_string(index) + "]";
  if (change.pattern().empty()) {
    return bad_setting(field + ".pattern", "it is empty; name modules, for example '*.down_proj'");
  }
  ModuleOverride plain;
  plain.pattern = change.pattern();
  const auto* type = v1::Override::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->name() != "pattern") {
      const Setting& row = setting(type->field(i)->name());
      Status status = check_value(change, *type->field(i), row);
      if (!status.ok()) {
        return std::move(status).with_context(field);
      }
    }
  }
  if (change.method() != v1::METHOD_UNSPECIFIED) {
    plain.method = to_plain(change.method());
  }
  if (change.scale_search() != v1::SCALE_SEARCH_UNSPECIFIED) {
    plain.scale_search =
        change.scale_search() == v1::SCALE_SEARCH_ABSMAX ? ScaleSearch::kAbsmax : ScaleSearch::kMse;
  }
  if (change.has_act_order()) {
    plain.act_order = change.act_order();
  }
  if (change.has_damping()) {
    plain.damping = change.damping();
  }
  return plain;
}

}  // namespace

Result<QuantOptions> to_options(const v1::JobSpec& spec, DType model_dtype) {
  QuantOptions options;
  for (const Setting& setting : settings()) {
    if (setting.has_member()) {
      ROTOR_RETURN_IF_ERROR(set_member(&options, setting, field_text(spec, setting)));
    }
  }
  ROTOR_ASSIGN_OR_RETURN(options.scheme, make_scheme(to_plain(spec.format()), spec.group_size(),
                                                     model_dtype, options.layout));
  options.ignore.assign(spec.ignore().begin(), spec.ignore().end());
  for (int i = 0; i < spec.overrides_size(); ++i) {
    ROTOR_ASSIGN_OR_RETURN(ModuleOverride change, to_override(spec.overrides(i), i));
    options.overrides.push_back(std::move(change));
  }
  return options;
}

}  // namespace rotor
