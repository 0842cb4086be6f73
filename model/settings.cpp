#include "model/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

namespace rotor {
namespace {

template <typename E>
constexpr std::array<E, 0> kValues{};
template <>
constexpr std::array kValues<Method>{Method::kRtn, Method::kGptq, Method::kMrGptq};
template <>
constexpr std::array kValues<Activations>{Activations::kA16, Activations::kA4};
template <>
constexpr std::array kValues<ScaleSearch>{ScaleSearch::kAbsmax, ScaleSearch::kMse};
template <>
constexpr std::array kValues<Propagate>{Propagate::kQuantized, Propagate::kOriginal};
template <>
constexpr std::array kValues<Sequential>{Sequential::kStage, Sequential::kBlock};
template <>
constexpr std::array kValues<Layout>{Layout::kCompressedTensors, Layout::kFpQuant,
                                     Layout::kModelOpt, Layout::kGptOss};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : "|") + name;
  }
  return text;
}

/// Whole numbers in full: 1048576 and not 1.048576e+06.
std::string bound_text(double value) {
  const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
  return whole ? std::to_string(static_cast<int64_t>(value)) : number_text(value);
}

std::string range_text(const Range& range) {
  if (range.high == std::numeric_limits<double>::infinity()) {
    return "at least " + bound_text(range.low);
  }
  return (range.above ? "above " + bound_text(range.low) + ", at most "
                      : bound_text(range.low) + " to ") +
         bound_text(range.high);
}

Status no_value(std::string_view text, const std::string& what) {
  return invalid_argument("'" + std::string(text) + "' is " + what).with_reason("BAD_SPEC");
}

template <typename Number>
Status parse(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() ? Status()
                                                                  : no_value(text, "no number");
}

}  // namespace

std::string number_text(double value) {
  std::array<char, 64> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return error == std::errc() ? std::string(buffer.data(), end) : "?";
}

std::string_view to_string(Propagate value) {
  return value == Propagate::kQuantized ? "quantized" : "original";
}

std::string_view to_string(Sequential value) {
  return value == Sequential::kStage ? "stage" : "block";
}

const Setting& setting(std::string_view path) {
  const auto found = std::find_if(settings().begin(), settings().end(),
                                  [&](const Setting& row) { return row.path == path; });
  if (found == settings().end()) {
    std::abort();  // a path that is written in the source and in no row
  }
  return *found;
}

std::string default_text(const Setting& setting) {
  if (!setting.rule.empty()) {
    return "";
  }
  return setting.has_member() ? member_text(QuantOptions{}, setting)
                              : std::string(setting.fallback);
}

Status bad_setting(std::string_view path, const std::string& what) {
  const std::string field = "spec." + std::string(path);
  return invalid_argument(field + ": " + what).with_reason("BAD_SPEC").with_detail("field", field);
}

Status check_range(const Setting& setting, double value) {
  const Range& range = setting.range;
  if ((range.above ? value > range.low : value >= range.low) && value <= range.high) {
    return {};
  }
  return bad_setting(setting.path, bound_text(value) + " is out of range: " + range_text(range));
}

Status check_ranges(const QuantOptions& options) {
  for (const Setting& row : settings()) {
    double value = 0.0;
    if (const auto* member = std::get_if<int QuantOptions::*>(&row.member)) {
      value = options.**member;
    } else if (const auto* number = std::get_if<double QuantOptions::*>(&row.member)) {
      value = options.**number;
    } else {
      continue;
    }
    ROTOR_RETURN_IF_ERROR(check_range(row, value));
  }
  return {};
}

Status set_member(QuantOptions* options, const Setting& setting, std::string_view text) {
  const auto set = [&](auto member) -> Status {
    if constexpr (std::is_same_v<decltype(member), std::monostate>) {
      return {};
    } else {
      auto& value = options->*member;
      using Value = std::remove_reference_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, bool>) {
        value = text == "on";
        return value || text == "off" ? Status() : no_value(text, "not on or off");
      } else if constexpr (std::is_enum_v<Value>) {
        for (const Value choice : kValues<Value>) {
          if (to_string(choice) == text) {
            value = choice;
            return {};
          }
        }
        return no_value(text, "not one of " + joined(member_choices(setting)));
      } else {
        return parse(text, &value);
      }
    }
  };
  const Status status = std::visit(set, setting.member);
  return status.ok() ? status : bad_setting(setting.path, status.message());
}

std::string member_text(const QuantOptions& options, const Setting& setting) {
  const auto text = [&](auto member) -> std::string {
    if constexpr (std::is_same_v<decltype(member), std::monostate>) {
      return "";
    } else {
      const auto value = options.*member;
      using Value = std::remove_const_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, bool>) {
        return value ? "on" : "off";
      } else if constexpr (std::is_enum_v<Value>) {
        return std::string(to_string(value));
      } else if constexpr (std::is_integral_v<Value>) {
        return std::to_string(value);
      } else {
        return number_text(value);
      }
    }
  };
  return std::visit(text, setting.member);
}

std::vector<std::string> member_choices(const Setting& setting) {
  std::vector<std::string> names;
  const auto add = [&](auto member) {
    if constexpr (!std::is_same_v<decltype(member), std::monostate>) {
      using Value = std::remove_reference_t<decltype(QuantOptions{}.*member)>;
      if constexpr (std::is_enum_v<Value>) {
        for (const Value choice : kValues<Value>) {
          names.emplace_back(to_string(choice));
        }
      }
    }
  };
  std::visit(add, setting.member);
  return names;
}

}  // namespace rotor
