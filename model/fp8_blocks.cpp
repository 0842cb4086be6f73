#include "model/fp8_blocks.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "quant/format/bf16.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"

namespace rotor {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::array<std::string_view, 2> kScales = {".weight_scale_inv", ".weight_scale"};
constexpr std::array<std::string_view, 3> kOfActivations = {".input_scale", ".input_scale_ub",
                                                            ".activation_scale"};

int64_t blocks(int64_t size, int64_t block) {
  return (size + block - 1) / block;
}

std::string with_ending(const std::string& name, std::string_view ending, std::string_view other) {
  return name.substr(0, name.size() - ending.size()) + std::string(other);
}

/// The ending of these that a name has; else empty.
template <size_t n>
std::string_view ending_of(const std::string& name,
                           const std::array<std::string_view, n>& endings) {
  const auto found = std::find_if(endings.begin(), endings.end(),
                                  [&](std::string_view ending) { return name.ends_with(ending); });
  return found == endings.end() ? std::string_view() : *found;
}

/// What each code stands for in a block.
using Decoded = std::array<uint16_t, 256>;

Decoded decode_all(float scale) {
  Decoded decoded;
  std::transform(kE4m3Values.begin(), kE4m3Values.end(), decoded.begin(),
                 [&](float code) { return f32_to_bf16(code * scale); });
  return decoded;
}

/// How a matrix is cut into what shares a scale.
struct Grid {
  int64_t block_rows = 1;
  int64_t block_cols = 1;
  int64_t scale_cols = 1;
};

class Fp8Matrix final : public DecodedTensor {
 public:
  Fp8Matrix(const TensorSpec& codes, const TensorSpec& scales, const Grid& grid,
            std::vector<std::string> parts)
      : DecodedTensor({codes.name, DType::kBf16, codes.shape}),
        scales_(scales),
        grid_(grid),
        parts_(std::move(parts)) {}

  std::vector<std::string> parts() const override { return parts_; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t cols = spec().shape[1];
    std::vector<uint8_t> codes(static_cast<size_t>(count * cols));
    ROTOR_RETURN_IF_ERROR(stored.read(spec().name, first * cols, codes.data(), codes.size()));
    const int64_t first_block = first / grid_.block_rows;
    ROTOR_ASSIGN_OR_RETURN(
        const std::vector<float> scales,
        read_scales(stored, first_block, blocks(first + count, grid_.block_rows) - first_block));
    auto* values = static_cast<uint16_t*>(out);
    for (int64_t row = 0; row < count;) {
      const int64_t block_row = (first + row) / grid_.block_rows;
      const int64_t end = std::min((block_row + 1) * grid_.block_rows - first, count);
      const float* scale = scales.data() + (block_row - first_block) * grid_.scale_cols;
      for (int64_t col = 0; col < cols; col += grid_.block_cols, ++scale) {
        const Decoded decoded = decode_all(*scale);
        const int64_t width = std::min(grid_.block_cols, cols - col);
        for (int64_t at = row * cols + col; at < end * cols; at += cols) {
          std::transform(codes.data() + at, codes.data() + at + width, values + at,
                         [&](uint8_t code) { return decoded[code]; });
        }
      }
      row = end;
    }
    return {};
  }

 private:
  /// Of `count` rows of blocks.
  Result<std::vector<float>> read_scales(const TensorSource& stored, int64_t first,
                                         int64_t count) const {
    const int64_t row_bytes = grid_.scale_cols * dtype_size(scales_.dtype);
    std::vector<uint8_t> bytes(static_cast<size_t>(count * row_bytes));
    ROTOR_RETURN_IF_ERROR(stored.read(scales_.name, first * row_bytes, bytes.data(), bytes.size()));
    std::vector<float> scales(static_cast<size_t>(count * grid_.scale_cols));
    if (scales_.dtype == DType::kF8E8M0) {
      std::transform(bytes.begin(), bytes.end(), scales.begin(), e8m0_decode);
      return scales;
    }
    ROTOR_RETURN_IF_ERROR(
        widen_to_f32(bytes.data(), scales_.dtype, std::ssize(scales), scales.data()));
    return scales;
  }

  TensorSpec scales_;
  Grid grid_;
  std::vector<std::string> parts_;
};

class Finder {
 public:
  Finder(const CheckpointReader& checkpoint, const SourceQuantization& quantization)
      : checkpoint_(checkpoint), quantization_(quantization) {}

  Result<DecodedTensors> run() {
    DecodedTensors found;
    for (const TensorSpec& tensor : checkpoint_.tensors()) {
      if (const std::string_view ending = ending_of(tensor.name, kScales); !ending.empty()) {
        ROTOR_RETURN_IF_ERROR(check_owner(tensor, ending));
      } else if (tensor.dtype == DType::kF8E4M3) {
        ROTOR_ASSIGN_OR_RETURN(const TensorSpec* scales, scales_of(tensor));
        ROTOR_ASSIGN_OR_RETURN(const Grid grid, grid_of(tensor, *scales));
        found.push_back(
            std::make_unique<Fp8Matrix>(tensor, *scales, grid, parts_of(tensor, *scales)));
      }
    }
    return found;
  }

 private:
  Status bad(const TensorSpec& tensor, const char* reason, const std::string& what) const {
    const std::string& file = checkpoint_.shard_of(tensor.name)->path();
    return invalid_argument(file + ": tensor " + tensor.name + " is " + describe(tensor) + what)
        .with_reason(reason)
        .with_detail("file", file)
        .with_detail("tensor", tensor.name);
  }

  /// Scales belong to a weight in FP8.
  Status check_owner(const TensorSpec& scales, std::string_view ending) const {
    const std::string name = with_ending(scales.name, ending, kWeight);
    const TensorSpec* weight = checkpoint_.find(name);
    if (weight != nullptr && weight->dtype == DType::kF8E4M3) {
      return {};
    }
    return bad(scales, "MISSING_SCALES",
               ", the scales of " + name + ", which is " +
                   (weight == nullptr ? "not there" : describe(*weight) + " and not F8_E4M3") +
                   "; fetch the model again");
  }

  Result<const TensorSpec*> scales_of(const TensorSpec& codes) const {
    if (!codes.name.ends_with(kWeight) || codes.shape.size() != 2) {
      return bad(codes, "BAD_TENSOR_DTYPE",
                 ", and only matrices named X.weight are read in FP8: convert the model to BF16");
    }
    const TensorSpec* found = nullptr;
    for (const std::string_view ending : kScales) {
      const TensorSpec* scales = checkpoint_.find(with_ending(codes.name, kWeight, ending));
      if (scales != nullptr && found != nullptr) {
        return bad(*scales, "BAD_TENSOR_SHAPE",
                   ", and there is " + found->name + " besides: fetch the model again");
      }
      found = scales != nullptr ? scales : found;
    }
    if (found == nullptr) {
      return bad(codes, "MISSING_SCALES",
                 ", and its scales " + with_ending(codes.name, kWeight, kScales[0]) + " or " +
                     with_ending(codes.name, kWeight, kScales[1]) +
                     " are not there; complete the download, or convert the model to BF16");
    }
    if (found->dtype != DType::kF32 && found->dtype != DType::kBf16 &&
        found->dtype != DType::kF16 && found->dtype != DType::kF8E8M0) {
      return bad(*found, "BAD_TENSOR_DTYPE",
                 ", and scales are F32, BF16, F16 or F8_E8M0: convert the model to BF16");
    }
    return found;
  }

  Result<Grid> grid_of(const TensorSpec& codes, const TensorSpec& scales) const {
    const int64_t rows = codes.shape[0];
    const int64_t cols = codes.shape[1];
    const int64_t block_rows = quantization_.block_rows;
    const int64_t block_cols = quantization_.block_cols;
    if (block_rows == 0) {
      const bool of_rows = scales.shape == std::vector<int64_t>{rows, 1} ||
                           scales.shape == std::vector<int64_t>{rows};
      const bool of_all = std::all_of(scales.shape.begin(), scales.shape.end(),
                                      [](int64_t size) { return size == 1; });
      if (!of_rows && !of_all) {
        return bad(scales, "BAD_TENSOR_SHAPE",
                   ", and " + describe(codes) + " needs one scale, or one for each of its " +
                       std::to_string(rows) + " rows; correct config.json (weight_block_size) or " +
                       "the checkpoint");
      }
      return Grid{of_all ? std::max<int64_t>(rows, 1) : 1, std::max<int64_t>(cols, 1), 1};
    }
    const std::vector<int64_t> shape = {blocks(rows, block_rows), blocks(cols, block_cols)};
    if (scales.shape != shape) {
      return bad(scales, "BAD_TENSOR_SHAPE",
                 ", and blocks of [" + std::to_string(block_rows) + ", " +
                     std::to_string(block_cols) + "] of " + describe(codes) + " need " +
                     describe({scales.name, scales.dtype, shape}) +
                     "; correct config.json or the checkpoint");
    }
    return Grid{block_rows, block_cols, shape[1]};
  }

  std::vector<std::string> parts_of(const TensorSpec& codes, const TensorSpec& scales) const {
    std::vector<std::string> parts = {codes.name, scales.name};
    for (const std::string_view ending : kOfActivations) {
      std::string name = with_ending(codes.name, kWeight, ending);
      if (checkpoint_.find(name) != nullptr) {
        parts.push_back(std::move(name));
      }
    }
    return parts;
  }

  const CheckpointReader& checkpoint_;
  const SourceQuantization& quantization_;
};

}  // namespace

Result<DecodedTensors> fp8_block_tensors(const CheckpointReader& checkpoint,
                                         const SourceQuantization& quantization) {
  return Finder(checkpoint, quantization).run();
}

}  // namespace rotor
