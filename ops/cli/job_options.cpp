// The options of quantize and submit: the rows of model/settings.h, straight into the JobSpec.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>

#include "ops/cli/exit_code.h"
#include "ops/cli/options.h"
#include "ops/cli/override_option.h"
#include "ops/cli/value_or_throw.h"
#include "proto/presets.h"
#include "proto/spec_fields.h"
#include "quant/base/units.h"
#include "quant/engines/serve_target.h"

namespace rotor::cli {
namespace {

using google::protobuf::FieldDescriptor;

void throw_if_bad(const Setting& setting, const Status& status) {
  if (!status.ok()) {
    throw CLI::ValidationError(std::string(setting.flag), status.message());
  }
}

/// Sets the field and checks its range, in which a 0 that would stand for the default is not.
void take(v1::JobSpec& spec, const Setting& setting, const std::string& text) {
  throw_if_bad(setting, set_field(&spec, setting, text));
  if (value_choices(spec_field(setting)).empty() && !spec_field(setting).is_repeated()) {
    throw_if_bad(setting, check_range(setting, std::stod(field_text(spec, setting))));
  }
}

std::string help_text(const Setting& setting) {
  const std::string words =
      setting.rule.empty() ? default_text(setting) : std::string(setting.rule);
  return std::string(setting.help) + (words.empty() ? "" : " (default: " + words + ")");
}

CLI::Option* add_flag(CLI::App& command, v1::JobSpec& spec, const Setting& setting) {
  const std::string flag(setting.flag);
  return command.add_flag_function(
      flag + ",!--no-" + flag.substr(2),
      [&](int64_t given) { take(spec, setting, given > 0 ? "on" : "off"); }, help_text(setting));
}

std::string type_name(const Setting& setting) {
  std::string names;
  for (const std::string& choice : value_choices(spec_field(setting))) {
    names += (names.empty() ? "" : "|") + choice;
  }
  const bool fraction = spec_field(setting).type() == FieldDescriptor::TYPE_DOUBLE;
  return names.empty() ? (fraction ? "F" : "N") : names;
}

CLI::Option* add_text(CLI::App& command, const Setting& setting,
                      std::function<void(const std::string&)> set) {
  return command.add_option_function<std::string>(std::string(setting.flag), std::move(set),
                                                  help_text(setting));
}

CLI::Option* add_list(CLI::App& command, const Setting& setting,
                      std::function<void(const std::string&)> add) {
  return command.add_option_function<std::vector<std::string>>(
      std::string(setting.flag),
      [add = std::move(add)](const std::vector<std::string>& texts) {
        std::for_each(texts.begin(), texts.end(), add);
      },
      help_text(setting));
}

void set_rotation(v1::JobSpec& spec, const std::string& text) {
  constexpr std::string_view kMerged = "merged:";
  const bool merged = text.starts_with(kMerged);
  const std::string block = merged ? text.substr(kMerged.size()) : text;
  spec.set_rotation(merged || block == "none" ? 0 : std::stoi(block));
  spec.set_merged_rotation(merged ? std::stoi(block) : 0);
}

std::string preset_names() {
  std::string names;
  for (const Preset& preset : presets()) {
    names += (names.empty() ? "" : "|") + std::string(preset.name);
  }
  return names;
}

CLI::Option* add_by_form(CLI::App& command, v1::JobSpec& spec, const Setting& setting) {
  const auto set = [&](const std::string& text) { take(spec, setting, text); };
  switch (setting.form) {
    case SettingForm::kValue:
      return spec_field(setting).type() == FieldDescriptor::TYPE_BOOL
                 ? add_flag(command, spec, setting)
                 : add_text(command, setting, set)->type_name(type_name(setting));
    case SettingForm::kSize:
      return add_text(command, setting,
                      [set, &setting](const std::string& text) {
                        const std::string flag(setting.flag);
                        set(std::to_string(value_or_throw(flag, parse_size(text))));
                      })
          ->type_name("SIZE");
    case SettingForm::kFiles:
      return add_list(command, setting, set)->type_name("FILE");
    case SettingForm::kPatterns:
      return add_list(command, setting, set)->type_name("PATTERN")->allow_extra_args(false);
    case SettingForm::kOverrides:
      return add_list(command, setting,
                      [&](const std::string& text) {
                        *spec.add_overrides() =
                            value_or_throw(std::string(setting.flag), parse_override(text));
                      })
          ->type_name("PATTERN:key=value,...")
          ->allow_extra_args(false);
    case SettingForm::kRotation:
      return add_text(command, setting, [&](const std::string& text) { set_rotation(spec, text); })
          ->check(CLI::IsMember({"none", "16", "32", "64", "128", "256", "merged:16", "merged:32",
                                 "merged:64", "merged:128", "merged:256"})
                      .description(""))
          ->type_name("none|[merged:]16|32|64|128|256");
    case SettingForm::kPreset:
      return add_text(command, setting,
                      [&](const std::string& name) {
                        spec.set_preset(name);
                        value_or_throw(std::string(setting.flag), with_preset(spec));
                      })
          ->type_name(preset_names());
    case SettingForm::kTargets:
      return add_list(command, setting,
                      [&](const std::string& text) {
                        spec.add_serve_on(to_string(
                            value_or_throw(std::string(setting.flag), parse_serve_target(text))));
                      })
          ->type_name("ENGINE[,tp=N][,gpu=ampere|hopper|blackwell]")
          ->allow_extra_args(false);
  }
  return nullptr;
}

CLI::Option* add_setting(CLI::App& command, v1::JobSpec& spec, const Setting& setting) {
  return add_by_form(command, spec, setting)->group(std::string(setting.group));
}

void add_paths(CLI::App& command, v1::JobSpec& spec) {
  command
      .add_option_function<std::string>(
          "model", [&spec](const std::string& path) { spec.set_model(path); },
          "Directory of the checkpoint to quantize (config.json, *.safetensors)")
      ->required()
      ->type_name("MODEL");
  command
      .add_option_function<std::string>(
          "--output", [&spec](const std::string& path) { spec.set_output(path); },
          "Directory to make; it must not exist yet")
      ->required()
      ->type_name("DIR");
}

std::string absolute(const std::string& path) {
  // Lexically: a link stays the link that the user named.
  std::string result = std::filesystem::absolute(path).lexically_normal().string();
  while (result.size() > 1 && result.back() == '/') {
    result.pop_back();
  }
  return result;
}

}  // namespace

void add_job_options(CLI::App& command, JobOptions& options) {
  v1::JobSpec& spec = options.spec;
  add_paths(command, spec);
  CLI::Option* evaluation = nullptr;
  for (const Setting& setting : settings()) {
    if (setting.flag.empty()) {
      continue;
    }
    CLI::Option* option = add_setting(command, spec, setting);
    if (setting.path == "evaluation.files") {
      evaluation = option;
    } else if (setting.path.starts_with("evaluation.")) {
      option->needs(evaluation);
    }
  }
}

void add_calibration_options(CLI::App& command, JobOptions& options) {
  for (const Setting& setting : settings()) {
    if (setting.path.starts_with("calibration.")) {
      add_setting(command, options.spec, setting);
    }
  }
}

Status finish_job_spec(v1::JobSpec& spec) {
  if (spec.calibration().files().empty()) {
    return invalid_argument("no calibration text was given: name files with --calibration FILE...")
        .with_reason(kReasonUsage)
        .with_detail("option", "--calibration");
  }
  if (spec.model().empty() || spec.output().empty()) {
    return invalid_argument("an empty path for the model or for --output")
        .with_reason(kReasonUsage);
  }
  if (spec.format() == v1::FORMAT_UNSPECIFIED && spec.preset().empty()) {
    spec.set_format(v1::FORMAT_NVFP4);
  }
  spec.set_model(absolute(spec.model()));
  spec.set_output(absolute(spec.output()));
  for (std::string& file : *spec.mutable_calibration()->mutable_files()) {
    file = absolute(file);
  }
  if (spec.has_evaluation()) {
    for (std::string& file : *spec.mutable_evaluation()->mutable_files()) {
      file = absolute(file);
    }
  }
  return {};
}

}  // namespace rotor::cli
