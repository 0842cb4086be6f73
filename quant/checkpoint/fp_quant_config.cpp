#include "quant/checkpoint/fp_quant_config.h"

#include <utility>

#include "quant/base/text.h"
#include "quant/checkpoint/config_reading.h"

namespace rotor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kLargestBlock = 4096;

Status unsupported(const std::string& what) {
  return invalid_argument("layout fp-quant: " + what).with_reason("UNSUPPORTED_COMBINATION");
}

ordered_json write(Format format, int64_t block, ordered_json not_converted) {
  return {{"quant_method", "fp_quant"},
          {"forward_dtype", to_string(format)},
          {"forward_method", "abs_max"},
          {"backward_dtype", "bf16"},
          {"hadamard_group_size", block},
          {"modules_to_not_convert", std::move(not_converted)},
          {"store_master_weights", false},
          {"pseudoquantization", false}};
}

}  // namespace

StoredRotation fp_quant_rotation(int block) {
  return {"forward_hadamard_matrix", block, {"Linear"}, {}, RotationStorage::kNormalizedEach};
}

Result<ordered_json> fp_quant_config(const QuantizationInfo& info) {
  if (info.scheme.format == Format::kInt4) {
    return unsupported("it holds nvfp4 and mxfp4, not int4; choose compressed-tensors for int4");
  }
  if (info.activations != Activations::kA4) {
    return unsupported("its engines always quantize activations; choose activations a4");
  }
  const int block = info.modules.empty() ? 0 : info.modules.front().rotation;
  for (const QuantizedModule& module : info.modules) {
    if (module.rotation == 0 || module.rotation != block) {
      return unsupported("every linear is rotated in the same blocks, and " + module.name +
                         " has " + std::to_string(module.rotation) + " where the first has " +
                         std::to_string(block));
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
  const json block = value_at(config, "/hadamard_group_size");
  const int64_t size = block.is_number_integer() ? block.get<int64_t>() : 0;
  if (size < 2 || size > kLargestBlock || (size & (size - 1)) != 0) {
    return bad_config(path, "/hadamard_group_size",
                      printable(block.dump()) + ", where a power of two is needed");
  }
  const json not_converted = value_at(config, "/modules_to_not_convert");
  const auto names = names_in(not_converted);
  if (!names) {
    return bad_config(path, "/modules_to_not_convert",
                      "must be a list of module names, without patterns");
  }
  out.ignored = *names;
  out.rotations.push_back(fp_quant_rotation(static_cast<int>(size)));
  ROTOR_RETURN_IF_ERROR(
      first_difference(json(write(out.scheme.format, size, not_converted)), config, path));
  return out;
}

}  // namespace rotor
