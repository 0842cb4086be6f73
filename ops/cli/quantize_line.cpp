#include "ops/cli/quantize_line.h"

#include <algorithm>

#include "proto/spec_fields.h"

namespace rotor::cli {

std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=+-,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return quoted + "'";
}

std::string quantize_line(const v1::JobSpec& spec) {
  std::string line = "rotor quantize " + shell_word(spec.model()) + " --output " +
                     shell_word(spec.output()) + " --calibration";
  for (const std::string& file : spec.calibration().files()) {
    line += " " + shell_word(file);
  }
  for (const Setting& setting : settings()) {
    const bool of_calibration =
        setting.path.starts_with("calibration.") && setting.form != SettingForm::kFiles;
    const bool recipe = setting.path == "format" || setting.path == "activations";
    if ((of_calibration || recipe) && is_given(spec, setting)) {
      line += " " + std::string(setting.flag) + " " + field_text(spec, setting);
    }
  }
  return line + " --rotation " + (spec.rotation() == 0 ? "none" : std::to_string(spec.rotation()));
}

}  // namespace rotor::cli
