#include "quant/checkpoint/config_reading.h"

#include <bit>
#include <nlohmann/json.hpp>

#include "quant/base/text.h"

namespace rotor {

using nlohmann::json;

Status bad_config(const std::string& path, const std::string& key, const std::string& what) {
  return invalid_argument(path + ": quantization_config: key " + printable(key) + ": " + what +
                          "; Rotor reads quantized checkpoints as it writes them")
      .with_reason("BAD_CONFIG")
      .with_detail("file", path)
      .with_detail("key", printable(key));
}

json value_at(const json& config, const char* pointer) {
  const json::json_pointer path(pointer);
  return config.contains(path) ? config.at(path) : json();
}

std::optional<NameSet> names_in(const json& list) {
  if (!list.is_array()) {
    return std::nullopt;
  }
  NameSet names;
  for (const json& name : list) {
    // Engines take "re:..." and wildcards for patterns; whoever reads one as a name would get
    // another model.
    if (!name.is_string() || name.get_ref<const std::string&>().starts_with("re:") ||
        name.get_ref<const std::string&>().find_first_of("*?[") != std::string::npos) {
      return std::nullopt;
    }
    names.insert(name.get<std::string>());
  }
  return names;
}

Result<int> block_size(const json& value, const std::string& path, const std::string& key) {
  constexpr int64_t kLargest = 4096;
  const int64_t size = value.is_number_integer() ? value.get<int64_t>() : 0;
  if (size < 2 || size > kLargest || !std::has_single_bit(static_cast<uint64_t>(size))) {
    return bad_config(path, key, printable(value.dump()) + ", where a power of two is needed");
  }
  return static_cast<int>(size);
}

Status first_difference(const json& written, const json& found, const std::string& path) {
  const json patch = json::diff(written, found);
  if (patch.empty()) {
    return {};
  }
  const json& change = patch.front();
  const std::string key = change.at("path").get<std::string>();
  const std::string op = change.at("op").get<std::string>();
  if (op == "remove") {
    return bad_config(path, key, "missing");
  }
  const std::string value = printable(change.at("value").dump());
  return bad_config(path, key,
                    op == "add"
                        ? "unknown, with value " + value
                        : value + ", where " +
                              printable(written.at(json::json_pointer(key)).dump()) + " is known");
}

}  // namespace rotor
