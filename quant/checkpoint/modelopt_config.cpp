#include "quant/checkpoint/modelopt_config.h"

#include <utility>

#include "quant/base/json.h"
#include "quant/base/text.h"
#include "quant/checkpoint/config_reading.h"

namespace rotor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kAlgorithm = "NVFP4";
constexpr int64_t kGroup = 16;

Status unsupported(const std::string& what) {
  return invalid_argument("layout modelopt: " + what).with_reason("UNSUPPORTED_COMBINATION");
}

ordered_json quantization_args() {
  return {{"dynamic", false}, {"num_bits", 4}, {"type", "float"}, {"group_size", kGroup}};
}

// Engines differ in which of the two lists of excluded modules they read.
ordered_json write(bool quantized_input, const ordered_json& ignore) {
  const ordered_json group = {
      {"input_activations", quantized_input ? quantization_args() : ordered_json(nullptr)},
      {"weights", quantization_args()},
      {"targets", ordered_json::array({"Linear"})}};
  return {{"quant_method", "modelopt"},
          {"quant_algo", kAlgorithm},
          {"group_size", kGroup},
          {"kv_cache_quant_algo", nullptr},
          {"ignore", ignore},
          {"exclude_modules", ignore},
          {"config_groups", {{"group_0", group}}}};
}

ordered_json write_hf(const ordered_json& exclude) {
  return {{"quantization",
           {{"quant_algo", kAlgorithm},
            {"kv_cache_quant_algo", nullptr},
            {"group_size", kGroup},
            {"exclude_modules", exclude}}}};
}

}  // namespace

Result<ordered_json> modelopt_config(const QuantizationInfo& info) {
  if (info.scheme.format != Format::kNvfp4) {
    return unsupported("it holds nvfp4 alone, not " + std::string(to_string(info.scheme.format)) +
                       "; choose compressed-tensors, or fp-quant for mxfp4");
  }
  for (const QuantizedModule& module : info.modules) {
    if (module.rotation != 0) {
      return unsupported("it has no field for an online rotation, and " + module.name +
                         " is rotated; choose rotation none, or compressed-tensors or fp-quant");
    }
  }
  return write(info.activations == Activations::kA4, info.ignored);
}

ordered_json hf_quant_config(const std::vector<std::string>& ignored) {
  return write_hf(ignored);
}

Result<StoredQuantization> parse_modelopt_config(const json& config, const std::string& path) {
  StoredQuantization out;
  out.layout = Layout::kModelOpt;
  ROTOR_ASSIGN_OR_RETURN(out.scheme,
                         make_scheme(Format::kNvfp4, 0, DType::kBf16, Layout::kModelOpt));
  const json algorithm = value_at(config, "/quant_algo");
  if (algorithm != kAlgorithm) {
    return bad_config(path, "/quant_algo",
                      printable(algorithm.dump()) + ", where \"NVFP4\" is known");
  }
  const bool quantized_input =
      value_at(config, "/config_groups/group_0/input_activations").is_object();
  out.activations = quantized_input ? Activations::kA4 : Activations::kA16;
  const json ignore = value_at(config, "/ignore");
  const auto names = names_in(ignore);
  if (!names) {
    return bad_config(path, "/ignore", "must be a list of module names, without patterns");
  }
  out.ignored = *names;
  ROTOR_RETURN_IF_ERROR(first_difference(json(write(quantized_input, ignore)), config, path));
  return out;
}

Status check_hf_quant_config(const std::string& text, const std::string& path,
                             const StoredQuantization& quantization) {
  ROTOR_ASSIGN_OR_RETURN(const json found, parse_json(text, path));
  constexpr const char* kExcluded = "/quantization/exclude_modules";
  const json exclude = value_at(found, kExcluded);
  const auto names = names_in(exclude);
  if (!names || *names != quantization.ignored) {
    return bad_config(path, kExcluded, "is not the list of modules that config.json ignores");
  }
  return first_difference(json(write_hf(exclude)), found, path);
}

}  // namespace rotor
