#include "model/scaled_weights.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "model/fp8_matrix.h"
#include "model/packed_matrix.h"

namespace rotor {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::array<std::string_view, 1> kPacked = {".weight_packed"};
constexpr std::array<std::string_view, 2> kScales = {".weight_scale", ".weight_scale_inv"};
constexpr std::array<std::string_view, 2> kOfPacked = {".weight_global_scale", ".weight_shape"};
constexpr std::array<std::string_view, 2> kNotRead = {".weight_zero_point", ".weight_g_idx"};
constexpr std::string_view kShortScales = ".scale";  // of weights in FP8 alone: others have such
constexpr std::array<std::string_view, 12> kLeftOut = {
    ".input_scale",      ".input_scale_ub", ".input_zero_point",  ".input_global_scale",
    ".activation_scale", ".output_scale",   ".output_zero_point", ".q_scale",
    ".k_scale",          ".v_scale",        ".kv_scale",          ".prob_output_scale"};

/// What precedes the first ending that a name has; nothing if it has none.
template <size_t N>
std::optional<std::string> without_ending(const std::string& name,
                                          const std::array<std::string_view, N>& endings) {
  for (const std::string_view ending : endings) {
    if (name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return std::nullopt;
}

/// The block that a scheme has for a matrix.
ScaleBlock block_of(const WeightScheme& scheme, const TensorSpec& codes) {
  const auto size = [](int64_t shared, int64_t all) {
    const int64_t whole = std::max<int64_t>(all, 1);
    return shared > 0 ? std::min(shared, whole) : whole;
  };
  return {size(scheme.rows, codes.shape[0]), size(scheme.cols, codes.shape[1])};
}

/// The shapes that scales of such blocks are published in, the usual one first.
std::vector<std::vector<int64_t>> scale_shapes(const WeightScheme& scheme,
                                               const TensorSpec& codes) {
  const ScaleBlock block = block_of(scheme, codes);
  const int64_t down = blocks_in(codes.shape[0], block.rows);
  std::vector<std::vector<int64_t>> shapes = {{down, blocks_in(codes.shape[1], block.cols)}};
  if (!scheme.format && scheme.cols == 0) {
    shapes.push_back({down});
    if (scheme.rows == 0) {
      shapes.push_back({});
    }
  }
  return shapes;
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

bool is_power(DType dtype) {
  return dtype == DType::kF8E8M0 || dtype == DType::kU8;
}

/// Whether codes of the format, or in FP8, have scales of the dtype.
bool fits(const std::optional<Format>& format, DType dtype) {
  if (!format) {
    return is_float(dtype) || is_power(dtype);
  }
  switch (*format) {
    case Format::kNvfp4:
      return dtype == DType::kF8E4M3;
    case Format::kMxfp4:
      return is_power(dtype);
    case Format::kInt4:
      return is_float(dtype);
  }
  return false;
}

class Finder {
 public:
  Finder(const CheckpointReader& checkpoint, const SourceQuantization& quantization, DType dtype)
      : checkpoint_(checkpoint), quantization_(quantization), dtype_(dtype) {}

  Result<ScaledWeights> run() {
    for (const TensorSpec& tensor : checkpoint_.tensors()) {
      if (without_ending(tensor.name, kNotRead)) {
        return bad(tensor, "BAD_CHECKPOINT",
                   ", and weights with zero points or reordered groups are not read: convert the "
                   "model to BF16");
      }
      if (const auto of_packed = without_ending(tensor.name, kPacked)) {
        ROTOR_RETURN_IF_ERROR(add_packed(tensor, *of_packed));
      } else if (const auto scaled = without_ending(tensor.name, kScales)) {
        ROTOR_RETURN_IF_ERROR(check_owner(tensor, *scaled));
      } else if (const auto described = without_ending(tensor.name, kOfPacked)) {
        ROTOR_RETURN_IF_ERROR(check_owner(tensor, *described));
      } else if (without_ending(tensor.name, kLeftOut)) {
        found_.left_out.push_back(tensor.name);
      } else if (tensor.dtype == DType::kF8E4M3) {
        ROTOR_RETURN_IF_ERROR(add_fp8(tensor));
      }
    }
    std::sort(found_.left_out.begin(), found_.left_out.end());
    return std::move(found_);
  }

 private:
  Status bad(const TensorSpec& tensor, const char* reason, const std::string& what) const {
    const std::string& file = checkpoint_.shard_of(tensor.name)->path();
    return invalid_argument(file + ": tensor " + tensor.name + " is " + describe(tensor) + what)
        .with_reason(reason)
        .with_detail("file", file)
        .with_detail("tensor", tensor.name);
  }

  const TensorSpec* find(const std::string& module, std::string_view ending) const {
    return checkpoint_.find(module + std::string(ending));
  }

  /// Scales and what else describes codes belong to packed ones, or to a weight in FP8.
  Status check_owner(const TensorSpec& tensor, const std::string& module) const {
    const TensorSpec* weight = find(module, kWeight);
    const bool of_fp8 = without_ending(tensor.name, kScales).has_value();
    const bool of_packed = !tensor.name.ends_with(kScales[1]);
    if ((of_packed && find(module, kPacked[0]) != nullptr) ||
        (of_fp8 && weight != nullptr && weight->dtype == DType::kF8E4M3)) {
      return {};
    }
    return bad(tensor, "MISSING_SCALES",
               ", which describes " + module + std::string(kWeight) + ", and that is " +
                   (weight == nullptr ? "not there" : describe(*weight) + " and not F8_E4M3") +
                   "; fetch the model again");
  }

  Status add_packed(const TensorSpec& codes, const std::string& module) {
    PackedParts parts{codes, {}};
    parts.global_scale = find(module, kOfPacked[0]);
    parts.shape = find(module, kOfPacked[1]);
    const bool words = codes.dtype == DType::kI32;
    if (codes.shape.size() != 2 || (!words && codes.dtype != DType::kU8) ||
        (words && parts.global_scale != nullptr)) {
      return bad(codes, "BAD_TENSOR_DTYPE",
                 ", and packed codes are matrices of I32 without a global scale, or of U8: convert "
                 "the model to BF16");
    }
    const Format format = words                           ? Format::kInt4
                          : parts.global_scale != nullptr ? Format::kNvfp4
                                                          : Format::kMxfp4;
    const TensorSpec* scales = find(module, kScales[0]);
    if (scales == nullptr) {
      return bad(codes, "MISSING_SCALES",
                 ", and its scales " + module + std::string(kScales[0]) +
                     " are not there; complete the download, or convert the model to BF16");
    }
    parts.scales = *scales;
    ROTOR_RETURN_IF_ERROR(check_scale_dtype(*scales, format));
    ROTOR_RETURN_IF_ERROR(check_part(parts.global_scale, 1, {DType::kF32}));
    ROTOR_RETURN_IF_ERROR(check_part(parts.shape, 2, {DType::kI32, DType::kI64}));
    const TensorSpec weight{module, dtype_, {codes.shape[0], codes.shape[1] * (words ? 8 : 2)}};
    ROTOR_ASSIGN_OR_RETURN(const ScaleBlock block, find_block(weight, *scales, format));
    Result<QuantScheme> scheme = make_scheme(format, words ? block.cols : 0, dtype_);
    if (!scheme.ok() || weight.shape[1] % scheme->group_size != 0) {
      return bad(codes, "BAD_TENSOR_SHAPE",
                 ", and its rows are no multiple of groups of " + std::to_string(block.cols) +
                     ": convert the model to BF16");
    }
    found_.tensors.push_back(packed_matrix(module, *scheme, parts, dtype_));
    return {};
  }

  Status check_part(const TensorSpec* part, int64_t elements,
                    const std::vector<DType>& dtypes) const {
    const bool good =
        part == nullptr ||
        (std::find(dtypes.begin(), dtypes.end(), part->dtype) != dtypes.end() &&
         part->shape.size() <= 1 && part->byte_size() == elements * dtype_size(part->dtype));
    return good ? Status()
                : bad(*part, "BAD_TENSOR_SHAPE",
                      ", and " + std::to_string(elements) + " of " +
                          std::string(dtype_name(dtypes.front())) + " are needed");
  }

  Status check_scale_dtype(const TensorSpec& scales, const std::optional<Format>& format) const {
    return fits(format, scales.dtype) ? Status()
                                      : bad(scales, "BAD_TENSOR_DTYPE",
                                            std::string(", which scales of ") +
                                                (format ? std::string(to_string(*format)) : "FP8") +
                                                " are not: convert the model to BF16");
  }

  Status add_fp8(const TensorSpec& codes) {
    const auto module = without_ending(codes.name, std::array{kWeight});
    if (!module || codes.shape.size() != 2) {
      return bad(codes, "BAD_TENSOR_DTYPE",
                 ", and only matrices named X.weight are read in FP8: convert the model to BF16");
    }
    ROTOR_ASSIGN_OR_RETURN(const TensorSpec* scales, scales_of(codes, *module));
    ROTOR_ASSIGN_OR_RETURN(const ScaleBlock block, find_block(codes, *scales, std::nullopt));
    found_.tensors.push_back(fp8_matrix(codes, *scales, block, dtype_));
    return {};
  }

  Result<const TensorSpec*> scales_of(const TensorSpec& codes, const std::string& module) const {
    const TensorSpec* found = nullptr;
    for (const std::string_view ending : {kScales[0], kScales[1], kShortScales}) {
      const TensorSpec* scales = checkpoint_.find(module + std::string(ending));
      if (scales != nullptr && found != nullptr) {
        return bad(*scales, "BAD_CHECKPOINT",
                   ", and " + found->name + " is there, too: remove what are not the scales of " +
                       codes.name);
      }
      found = scales != nullptr ? scales : found;
    }
    if (found == nullptr) {
      return bad(codes, "MISSING_SCALES",
                 ", and its scales " + module + std::string(kScales[0]) + " or " + module +
                     std::string(kScales[1]) +
                     " are not there; complete the download, or convert the model to BF16");
    }
    ROTOR_RETURN_IF_ERROR(check_scale_dtype(*found, std::nullopt));
    return found;
  }

  /// The one of config.json's schemes that the scales are of.
  Result<ScaleBlock> find_block(const TensorSpec& codes, const TensorSpec& scales,
                                const std::optional<Format>& format) const {
    std::string needed;
    std::optional<ScaleBlock> found;
    for (const WeightScheme& scheme : quantization_.schemes) {
      if (scheme.format != format) {
        continue;
      }
      const ScaleBlock block = block_of(scheme, codes);
      const auto shapes = scale_shapes(scheme, codes);
      if (std::find(shapes.begin(), shapes.end(), scales.shape) != shapes.end()) {
        if (found && !(*found == block)) {
          return bad(scales, "BAD_TENSOR_SHAPE",
                     ", as two groups of config.json would have it, in blocks of other sizes: "
                     "convert the model to BF16");
        }
        found = block;
      }
      needed +=
          (needed.empty() ? "" : " or ") + describe({scales.name, scales.dtype, shapes.front()});
    }
    if (found) {
      return *found;
    }
    return bad(scales, "BAD_TENSOR_SHAPE",
               needed.empty()
                   ? ", and config.json speaks of no weights in " +
                         (format ? std::string(to_string(*format)) : "FP8") + ", which " +
                         codes.name + " is; correct config.json or the checkpoint"
                   : ", and by config.json the scales of " + codes.name + ", " + describe(codes) +
                         ", need " + needed + "; correct config.json or the checkpoint");
  }

  const CheckpointReader& checkpoint_;
  const SourceQuantization& quantization_;
  DType dtype_;
  ScaledWeights found_;
};

}  // namespace

Result<ScaledWeights> find_scaled_weights(const CheckpointReader& checkpoint,
                                          const SourceQuantization& quantization, DType dtype) {
  return Finder(checkpoint, quantization, dtype).run();
}

}  // namespace rotor
