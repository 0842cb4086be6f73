// The settings of a job, each declared once. A row says what the command line calls a setting, what
// it means, its default, its range and whether it decides bytes; whoever takes, fills in, checks,
// shows or records settings walks the table: command line, coordinator, plan, JSON, the record
// beside a checkpoint, rotor-bench.
//
// A setting is a field of rotor.v1.JobSpec (`path`) and, where the pipeline works by it, a member
// of QuantOptions, whose initializer is then its default. Values travel as text, as the command
// line writes them: "mr-gptq", "0.01", "on".
//
// Thread-safety: constants and plain functions.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "model/plan.h"
#include "quant/base/status.h"

namespace rotor {

/// "quantized", "original"; "stage", "block": as the command line writes them.
std::string_view to_string(Propagate value);
std::string_view to_string(Sequential value);

/// How the command line writes a setting.
enum class SettingForm {
  kValue,      // as the type of its field says: number, on or off, one of an enum's names
  kSize,       // bytes, or "5GB"
  kFiles,      // any number of paths
  kPatterns,   // one glob, and the flag again for more
  kOverrides,  // settings of some modules alone
  kRotation,   // "none", a block, "merged:" and a block
  kPreset,     // a name of proto/presets.h
  kTargets,    // an engine and how it runs (quant/engines/serve_target.h), and the flag again
};

/// Numbers from `low` to `high`; without `low` itself where `above`. NaN is in no range.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above = false;
};

using SettingMember =
    std::variant<std::monostate, int QuantOptions::*, double QuantOptions::*, bool QuantOptions::*,
                 Method QuantOptions::*, Activations QuantOptions::*, ScaleSearch QuantOptions::*,
                 Propagate QuantOptions::*, Sequential QuantOptions::*, Layout QuantOptions::*>;

struct Setting {
  std::string_view path;   // of the field in rotor.v1.JobSpec: "damping", "plan.lanes"
  std::string_view key;    // in the record beside a checkpoint
  std::string_view flag;   // empty: has none of its own
  std::string_view group;  // of flags in --help
  std::string_view help;   // without the default
  SettingForm form = SettingForm::kValue;
  Range range = {};
  std::string_view fallback = {};  // the default of a setting without a member; empty: none
  std::string_view rule = {};      // in words, of a default that follows from other settings
  bool decides_bytes = true;       // of the checkpoint
  SettingMember member = {};

  bool has_member() const { return member.index() != 0; }
};

/// All rows, in the order in which they are shown.
std::span<const Setting> settings();
/// The row of a path that is one.
const Setting& setting(std::string_view path);

/// The default as text; empty where it follows from other settings (`rule`) or there is none.
std::string default_text(const Setting& setting);

/// INVALID_ARGUMENT (BAD_SPEC) with the value and the range.
Status check_range(const Setting& setting, double value);
/// Every member's range. The error names the field, as "spec.damping".
Status check_ranges(const QuantOptions& options);

/// A member from its text. INVALID_ARGUMENT (BAD_SPEC) for what is no value of its type, naming the
/// values where they are few. Ranges are not looked at.
Status set_member(QuantOptions* options, const Setting& setting, std::string_view text);
/// A member as text.
std::string member_text(const QuantOptions& options, const Setting& setting);
/// The names of a member that is one of a few values; else empty.
std::vector<std::string> member_choices(const Setting& setting);

/// The shortest text that reads back to the same value: "0.01".
std::string number_text(double value);

/// INVALID_ARGUMENT (BAD_SPEC) about the field "spec.PATH".
Status bad_setting(std::string_view path, const std::string& what);

}  // namespace rotor
