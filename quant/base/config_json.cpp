#include "quant/base/config_json.h"

#include <array>
#include <nlohmann/json.hpp>

#include "quant/base/json.h"

namespace rotor {
namespace {

// In front of the name inside the string that stands for it: a character for private use. A string
// that begins with one already begins with two of them instead, so that either way leads back.
constexpr std::string_view kMark = "\xEF\xA3\xBF";  // U+F8FF
constexpr std::array<std::string_view, 3> kNames = {"-Infinity", "Infinity", "NaN"};

/// Which of the names `text` begins with; empty: none.
std::string_view name_at(std::string_view text) {
  for (const std::string_view name : kNames) {
    if (text.starts_with(name)) {
      return name;
    }
  }
  return {};
}

/// What stands for the beginning of `rest`, which lies outside strings, and how much of it that
/// is; an empty one: it stays.
struct Replacement {
  std::string text;
  size_t taken = 0;
  bool opens_string = false;
};

Replacement quote_name(std::string_view rest) {
  if (rest.substr(1).starts_with(kMark) && rest[0] == '"') {
    return {"\"" + std::string(kMark) + std::string(kMark), 1 + kMark.size(), true};
  }
  const std::string_view name = name_at(rest);
  return name.empty()
             ? Replacement()
             : Replacement{"\"" + std::string(kMark) + std::string(name) + "\"", name.size()};
}

Replacement unquote_name(std::string_view rest) {
  if (rest[0] != '"' || !rest.substr(1).starts_with(kMark)) {
    return {};
  }
  const std::string_view marked = rest.substr(1 + kMark.size());
  if (marked.starts_with(kMark)) {
    return {"\"" + std::string(kMark), 1 + 2 * kMark.size(), true};
  }
  const std::string_view name = name_at(marked);
  return {std::string(name), 1 + kMark.size() + name.size() + 1};
}

std::string replace_outside_strings(std::string_view text,
                                    Replacement (*replacement_of)(std::string_view)) {
  std::string out;
  bool inside = false;  // a string
  for (size_t i = 0; i < text.size();) {
    if (inside && text[i] == '\\') {
      out.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    const Replacement found = inside ? Replacement() : replacement_of(text.substr(i));
    if (found.taken > 0) {
      out += found.text;
      inside = found.opens_string;
      i += found.taken;
      continue;
    }
    inside = inside != (text[i] == '"');
    out += text[i++];
  }
  return out;
}

}  // namespace

Result<nlohmann::json> parse_config_json(std::string_view text, std::string_view path) {
  return parse_json(replace_outside_strings(text, quote_name), path);
}

Result<nlohmann::ordered_json> parse_ordered_config_json(std::string_view text,
                                                         std::string_view path) {
  return parse_ordered_json(replace_outside_strings(text, quote_name), path);
}

std::string dump_config_json(const nlohmann::ordered_json& config) {
  return replace_outside_strings(config.dump(2), unquote_name);
}

}  // namespace rotor
