#include "quant/base/units.h"

#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace rotor {
namespace {

struct Unit {
  std::string_view name;  // lower case
  double bytes;
};

constexpr std::array<Unit, 14> kUnits = {{{"", 1},
                                          {"b", 1},
                                          {"k", 1e3},
                                          {"kb", 1e3},
                                          {"m", 1e6},
                                          {"mb", 1e6},
                                          {"g", 1e9},
                                          {"gb", 1e9},
                                          {"tb", 1e12},
                                          {"kib", 1024.0},
                                          {"mib", 1024.0 * 1024},
                                          {"gib", 1024.0 * 1024 * 1024},
                                          {"tib", 1024.0 * 1024 * 1024 * 1024},
                                          {"t", 1e12}}};

constexpr double kLargest = 4611686018427387904.0;  // 2^62

Status bad_size(std::string_view text) {
  return invalid_argument("'" + std::string(text) +
                          "' is not a size: write bytes, or a number with KB, MB, GB, TB, KiB, "
                          "MiB, GiB or TiB, such as 5GB");
}

}  // namespace

Result<int64_t> parse_size(std::string_view text) {
  // strtod alone would also take "inf", "0x10" and leading blanks.
  size_t digits = 0;
  while (digits < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.')) {
    ++digits;
  }
  const std::string number(text.substr(0, digits));
  std::string suffix;
  for (const char c : text.substr(digits)) {
    if (c != ' ') {
      suffix += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0') {
    return bad_size(text);
  }
  for (const Unit& unit : kUnits) {
    if (suffix == unit.name) {
      const double bytes = std::floor(value * unit.bytes);
      if (bytes < 1 || bytes > kLargest) {
        return bad_size(text);
      }
      return static_cast<int64_t>(bytes);
    }
  }
  return bad_size(text);
}

std::string format_bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) {
    return std::to_string(bytes) + " B";
  }
  if (value < 1e6) {
    return format_number("%.1f kB", value / 1e3);
  }
  if (value < 1e9) {
    return format_number("%.1f MB", value / 1e6);
  }
  if (value < 1e12) {
    return format_number("%.1f GB", value / 1e9);
  }
  return format_number("%.1f TB", value / 1e12);
}

std::string format_duration(double seconds) {
  if (seconds < 9.95) {
    return format_number("%.1f s", seconds > 0 ? seconds : 0.0);
  }
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  std::array<char, 64> buffer{};
  if (whole < 60) {
    std::snprintf(buffer.data(), buffer.size(), "%lld s", static_cast<long long>(whole));
  } else if (whole < 3600) {
    std::snprintf(buffer.data(), buffer.size(), "%lldm%02llds", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(buffer.data(), buffer.size(), "%lldh%02lldm",
                  static_cast<long long>(whole / 3600), static_cast<long long>(whole / 60 % 60));
  }
  return buffer.data();
}

std::string format_number(const char* format, double value) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, value);
  return buffer.data();
}

}  // namespace rotor
