#include "model/fp8_blocks.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "quant/format/bf16.h"
#include "quant/format/e4m3.h"

namespace rotor {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScales = ".weight_scale_inv";

int64_t blocks(int64_t size, int64_t block) {
  return (size + block - 1) / block;
}

std::string with_ending(const std::string& name, std::string_view ending, std::string_view other) {
  return name.substr(0, name.size() - ending.size()) + std::string(other);
}

/// What each code stands for in a block.
using Decoded = std::array<uint16_t, 256>;

Decoded decode_all(float scale) {
  Decoded decoded;
  std::transform(kE4m3Values.begin(), kE4m3Values.end(), decoded.begin(),
                 [&](float code) { return f32_to_bf16(code * scale); });
  return decoded;
}

class Fp8Matrix final : public DecodedTensor {
 public:
  Fp8Matrix(const TensorSpec& codes, const TensorSpec& scales, const SourceQuantization& blocks)
      : DecodedTensor({codes.name, DType::kBf16, codes.shape}),
        scales_(scales),
        block_rows_(blocks.block_rows),
        block_cols_(blocks.block_cols) {}

  std::vector<std::string> parts() const override { return {spec().name, scales_.name}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t cols = spec().shape[1];
    std::vector<uint8_t> codes(static_cast<size_t>(count * cols));
    ROTOR_RETURN_IF_ERROR(stored.read(spec().name, first * cols, codes.data(), codes.size()));
    const int64_t first_block = first / block_rows_;
    ROTOR_ASSIGN_OR_RETURN(
        const std::vector<float> scales,
        read_scales(stored, first_block, blocks(first + count, block_rows_) - first_block));
    auto* values = static_cast<uint16_t*>(out);
    for (int64_t row = 0; row < count;) {
      const int64_t block_row = (first + row) / block_rows_;
      const int64_t end = std::min((block_row + 1) * block_rows_ - first, count);
      const float* scale = scales.data() + (block_row - first_block) * scales_.shape[1];
      for (int64_t col = 0; col < cols; col += block_cols_, ++scale) {
        const Decoded decoded = decode_all(*scale);
        const int64_t width = std::min(block_cols_, cols - col);
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
    const int64_t row_bytes = scales_.shape[1] * dtype_size(scales_.dtype);
    std::vector<uint8_t> bytes(static_cast<size_t>(count * row_bytes));
    ROTOR_RETURN_IF_ERROR(stored.read(scales_.name, first * row_bytes, bytes.data(), bytes.size()));
    std::vector<float> scales(static_cast<size_t>(count * scales_.shape[1]));
    ROTOR_RETURN_IF_ERROR(
        widen_to_f32(bytes.data(), scales_.dtype, std::ssize(scales), scales.data()));
    return scales;
  }

  TensorSpec scales_;
  int64_t block_rows_;
  int64_t block_cols_;
};

class Finder {
 public:
  Finder(const CheckpointReader& checkpoint, const SourceQuantization& quantization)
      : checkpoint_(checkpoint), quantization_(quantization) {}

  Result<DecodedTensors> run() {
    DecodedTensors found;
    for (const TensorSpec& tensor : checkpoint_.tensors()) {
      if (tensor.name.ends_with(kScales)) {
        ROTOR_RETURN_IF_ERROR(check_owner(tensor));
      } else if (tensor.dtype == DType::kF8E4M3) {
        ROTOR_ASSIGN_OR_RETURN(const TensorSpec* scales, scales_of(tensor));
        found.push_back(std::make_unique<Fp8Matrix>(tensor, *scales, quantization_));
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
  Status check_owner(const TensorSpec& scales) const {
    const std::string name = with_ending(scales.name, kScales, kWeight);
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
    const std::string name = with_ending(codes.name, kWeight, kScales);
    const TensorSpec* scales = checkpoint_.find(name);
    if (scales == nullptr) {
      return bad(codes, "MISSING_SCALES",
                 ", and its scales " + name +
                     " are not there; complete the download, or convert the model to BF16");
    }
    const std::vector<int64_t> shape = {blocks(codes.shape[0], quantization_.block_rows),
                                        blocks(codes.shape[1], quantization_.block_cols)};
    if (scales->shape != shape) {
      return bad(*scales, "BAD_TENSOR_SHAPE",
                 ", and blocks of [" + std::to_string(quantization_.block_rows) + ", " +
                     std::to_string(quantization_.block_cols) + "] (weight_block_size) of " +
                     describe(codes) + " need " + describe({name, scales->dtype, shape}) +
                     "; correct config.json or the checkpoint");
    }
    if (scales->dtype != DType::kF32 && scales->dtype != DType::kBf16 &&
        scales->dtype != DType::kF16) {
      return bad(*scales, "BAD_TENSOR_DTYPE",
                 ", and scales are F32, BF16 or F16: convert the model to BF16");
    }
    return scales;
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
