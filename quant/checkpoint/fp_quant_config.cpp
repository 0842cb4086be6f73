#include "quant/checkpoint/fp_quant_config.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/text.h"
#include "quant/checkpoint/config_reading.h"
#include "quant/checkpoint/layout_limits.h"

namespace rotor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

Status unsupported(const std::string& what) {
  return invalid_argument("layout fp-quant: " + what).with_reason("UNSUPPORTED_COMBINATION");
}

ordered_json write(Format format, int block, ordered_json not_converted) {
  return {{"quant_method", "fp_quant"},    {"forward_dtype", to_string(format)},
          {"forward_method", "abs_max"},   {"backward_dtype", "bf16"},
          {"hadamard_group_size", block},  {"modules_to_not_convert", std::move(not_converted)},
          {"store_master_weights", false}, {"pseudoquantization", false}};
}

}  // namespace

StoredRotation fp_quant_rotation(int block) {
  return {"forward_hadamard_matrix", block, {"Linear"}, {}, RotationStorage::kNormalizedEach};
}

Result<ordered_json> fp_quant_config(const QuantizationInfo& info) {
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits,
                         find_limits(Layout::kFpQuant, info.scheme.format, info.activations));
  const int block = info.modules.empty() ? 0 : info.modules.front().rotation;
  ROTOR_RETURN_IF_ERROR(check_rotation(*limits, block));
  for (const QuantizedModule& module : info.modules) {
    if (module.rotation != block) {
      return unsupported("every linear is rotated in the same blocks, and " + module.name +
                         " has " + std::to_string(module.rotation) + " where the first has " +
                         std::to_string(block) + ": choose --layout compressed-tensors");
    }
  }
  return write(info.scheme.format, block, info.ignored);
}

Result<StoredQuantization> parse_fp_quant_config(const json& config, const std::string& path) {
  StoredQuantization out;
  out.layout = Layout::kFpQuant;
  out.activations = Activations::kA4;
  const json format = value_at(config, "/forward_dtype");
  if (format != to_string(Format::kNvfp4) && format != to_string(Format::kMxfp4)) {
    return bad_config(path, "/forward_dtype",
                      printable(format.dump()) + ", where \"nvfp4\" or \"mxfp4\" is known");
  }
  ROTOR_ASSIGN_OR_RETURN(
      out.scheme, make_scheme(format == to_string(Format::kNvfp4) ? Format::kNvfp4 : Format::kMxfp4,
                              0, DType::kBf16, Layout::kFpQuant));
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits,
                         find_limits(out.layout, out.scheme.format, out.activations));
  const json block = value_at(config, "/hadamard_group_size");
  ROTOR_ASSIGN_OR_RETURN(const int size, block_size(block, path, "/hadamard_group_size"));
  if (const Status fits = check_rotation(*limits, size); !fits.ok()) {
    return bad_config(path, "/hadamard_group_size", fits.message());
  }
  const json not_converted = value_at(config, "/modules_to_not_convert");
  const auto names = names_in(not_converted);
  if (!names) {
    return bad_config(path, "/modules_to_not_convert",
                      "must be a list of module names, without patterns");
  }
  out.ignored = *names;
  out.rotations.push_back(fp_quant_rotation(size));
  ROTOR_RETURN_IF_ERROR(
      first_difference(json(write(out.scheme.format, size, not_converted)), config, path));
  return out;
}

}  // namespace rotor
