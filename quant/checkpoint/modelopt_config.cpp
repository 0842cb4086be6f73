#include "quant/checkpoint/modelopt_config.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/json.h"
#include "quant/base/text.h"
#include "quant/checkpoint/config_reading.h"
#include "quant/checkpoint/layout_limits.h"

namespace rotor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t kGroup = 16;

// Under NVFP4 engines read input_scale whether it is there or not; weights alone have a name of
// their own.
constexpr const char* kWithInput = "NVFP4";
constexpr const char* kWeightsAlone = "W4A16_NVFP4";

const char* algorithm_of(Activations activations) {
  return activations == Activations::kA4 ? kWithInput : kWeightsAlone;
}

// Engines differ in which of the two lists of excluded modules they read.
ordered_json write(Activations activations, const ordered_json& ignore) {
  const ordered_json args = {
      {"dynamic", false}, {"num_bits", 4}, {"type", "float"}, {"group_size", kGroup}};
  ordered_json group = ordered_json::object();
  if (activations == Activations::kA4) {
    group["input_activations"] = args;
  }
  group["weights"] = args;
  group["targets"] = ordered_json::array({"Linear"});
  return {{"quant_method", "modelopt"},
          {"quant_algo", algorithm_of(activations)},
          {"group_size", kGroup},
          {"kv_cache_quant_algo", nullptr},
          {"ignore", ignore},
          {"exclude_modules", ignore},
          {"config_groups", {{"group_0", std::move(group)}}}};
}

ordered_json write_hf(Activations activations, const ordered_json& exclude) {
  return {{"quantization",
           {{"quant_algo", algorithm_of(activations)},
            {"kv_cache_quant_algo", nullptr},
            {"group_size", kGroup},
            {"exclude_modules", exclude}}}};
}

}  // namespace

Result<ordered_json> modelopt_config(const QuantizationInfo& info) {
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits,
                         find_limits(Layout::kModelOpt, info.scheme.format, info.activations));
  for (const QuantizedModule& module : info.modules) {
    ROTOR_RETURN_IF_ERROR(check_rotation(*limits, module.rotation).with_context(module.name));
  }
  return write(info.activations, info.ignored);
}

ordered_json hf_quant_config(const QuantizationInfo& info) {
  return write_hf(info.activations, info.ignored);
}

Result<StoredQuantization> parse_modelopt_config(const json& config, const std::string& path) {
  StoredQuantization out;
  out.layout = Layout::kModelOpt;
  ROTOR_ASSIGN_OR_RETURN(out.scheme,
                         make_scheme(Format::kNvfp4, 0, DType::kBf16, Layout::kModelOpt));
  const json algorithm = value_at(config, "/quant_algo");
  if (algorithm != kWithInput && algorithm != kWeightsAlone) {
    return bad_config(
        path, "/quant_algo",
        printable(algorithm.dump()) + ", where \"NVFP4\" and \"W4A16_NVFP4\" are known");
  }
  out.activations = algorithm == kWithInput ? Activations::kA4 : Activations::kA16;
  const json ignore = value_at(config, "/ignore");
  const auto names = names_in(ignore);
  if (!names) {
    return bad_config(path, "/ignore", "must be a list of module names, without patterns");
  }
  out.ignored = *names;
  ROTOR_RETURN_IF_ERROR(first_difference(json(write(out.activations, ignore)), config, path));
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
  return first_difference(json(write_hf(quantization.activations, exclude)), found, path);
}

}  // namespace rotor
