#include "model/stacked_experts.h"

#include <algorithm>
#include <utility>

#include "quant/format/bf16.h"
#include "quant/format/e2m1.h"
#include "quant/format/e8m0.h"

namespace rotor {
namespace {

constexpr int64_t kBandBytes = int64_t{4} << 20;
constexpr int64_t kGroup = 32;  // of MXFP4, in 16 bytes
constexpr int64_t kGroupBytes = kGroup / 2;

/// Which outputs of a stack make a linear.
struct Slice {
  int64_t expert = 0;
  int64_t first = 0;  // output of the stack
  int64_t step = 1;   // from one to the next
};

/// to[r, c] = from[c, r * step], `rows` by `cols`; strides in elements.
template <typename T>
void transpose(const void* from, int64_t from_stride, int64_t step, int64_t rows, int64_t cols,
               void* to, int64_t to_stride) {
  const auto* source = static_cast<const T*>(from);
  auto* out = static_cast<T*>(to);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      out[row * to_stride + col] = source[col * from_stride + row * step];
    }
  }
}

/// A linear's weight [N, K] in a stack [E, K, N L].
class TransposedWeight final : public DecodedTensor {
 public:
  TransposedWeight(TensorSpec spec, const TensorSpec& stack, const Slice& slice)
      : DecodedTensor(std::move(spec)), stack_(stack), slice_(slice) {}

  std::vector<std::string> parts() const override { return {stack_.name}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t inputs = stack_.shape[1];
    const int64_t size = dtype_size(stack_.dtype);
    const int64_t input_bytes = stack_.shape[2] * size;
    const int64_t band = std::clamp<int64_t>(kBandBytes / input_bytes, 1, inputs);
    std::vector<char> bytes(static_cast<size_t>(band * input_bytes));
    auto* to = static_cast<char*>(out);
    auto* move = size == 2 ? &transpose<uint16_t> : &transpose<uint32_t>;
    for (int64_t begin = 0; begin < inputs; begin += band) {
      const int64_t many = std::min(band, inputs - begin);
      ROTOR_RETURN_IF_ERROR(stored.read(stack_.name, (slice_.expert * inputs + begin) * input_bytes,
                                        bytes.data(), static_cast<size_t>(many * input_bytes)));
      move(bytes.data() + (slice_.first + first * slice_.step) * size, stack_.shape[2], slice_.step,
           count, many, to + begin * size, inputs);
    }
    return {};
  }

 private:
  TensorSpec stack_;
  Slice slice_;
};

/// A linear's weight [N, K] in blocks [E, N L, K/32, 16] and scales [E, N L, K/32].
class Mxfp4Weight final : public DecodedTensor {
 public:
  Mxfp4Weight(TensorSpec spec, const TensorSpec& blocks, std::string scales, const Slice& slice)
      : DecodedTensor(std::move(spec)),
        blocks_(blocks),
        scales_(std::move(scales)),
        slice_(slice) {}

  std::vector<std::string> parts() const override { return {blocks_.name, scales_}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    if (count == 0) {
      return {};
    }
    const int64_t groups = blocks_.shape[2];
    const int64_t begin = slice_.expert * blocks_.shape[1] + slice_.first + first * slice_.step;
    const int64_t span = (count - 1) * slice_.step + 1;  // rows of the stack
    std::vector<uint8_t> codes(static_cast<size_t>(span * groups * kGroupBytes));
    std::vector<uint8_t> scales(static_cast<size_t>(span * groups));
    ROTOR_RETURN_IF_ERROR(
        stored.read(blocks_.name, begin * groups * kGroupBytes, codes.data(), codes.size()));
    ROTOR_RETURN_IF_ERROR(stored.read(scales_, begin * groups, scales.data(), scales.size()));
    auto* values = static_cast<uint16_t*>(out);
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t group = row * slice_.step * groups; group < (row * slice_.step + 1) * groups;
           ++group) {
        const float scale = e8m0_decode(scales[static_cast<size_t>(group)]);
        const uint8_t* packed = codes.data() + group * kGroupBytes;
        for (int64_t i = 0; i < kGroupBytes; ++i) {
          *values++ = f32_to_bf16(e2m1_decode(packed[i]) * scale);
          *values++ = f32_to_bf16(e2m1_decode(packed[i] >> 4U) * scale);
        }
      }
    }
    return {};
  }

 private:
  TensorSpec blocks_;
  std::string scales_;
  Slice slice_;
};

/// A linear's bias [N] in a stack [E, N L].
class StackedBias final : public DecodedTensor {
 public:
  StackedBias(TensorSpec spec, const TensorSpec& stack, const Slice& slice)
      : DecodedTensor(std::move(spec)), stack_(stack), slice_(slice) {}

  std::vector<std::string> parts() const override { return {stack_.name}; }

  /// There is one row.
  Status read_rows(const TensorSource& stored, int64_t, int64_t count, void* out) const override {
    const int64_t size = dtype_size(stack_.dtype);
    const int64_t expert_bytes = stack_.shape[1] * size;
    std::vector<char> bytes(static_cast<size_t>(expert_bytes));
    ROTOR_RETURN_IF_ERROR(
        stored.read(stack_.name, slice_.expert * expert_bytes, bytes.data(), bytes.size()));
    auto* move = size == 2 ? &transpose<uint16_t> : &transpose<uint32_t>;
    move(bytes.data() + slice_.first * size, 0, slice_.step, count * spec().shape[0], 1, out, 1);
    return {};
  }

 private:
  TensorSpec stack_;
  Slice slice_;
};

class Finder {
 public:
  Finder(const Architecture& architecture, const CheckpointReader& checkpoint)
      : architecture_(architecture), checkpoint_(checkpoint) {}

  Result<DecodedTensors> run() {
    bool any_stack = false;
    for (const Layer& layer : architecture_.layers) {
      for (const Stage& stage : layer.stages) {
        any_stack = any_stack || !stage.stacked.empty();
        if (!stage.stacked.empty() &&
            checkpoint_.find(stage.linears.front().name + ".weight") == nullptr) {
          ROTOR_RETURN_IF_ERROR(add_stage(stage));
        }
      }
    }
    const ModelConfig& config = architecture_.config;
    if (config.source_quantization.form == StoredForm::kMxfp4Experts && !any_stack) {
      return invalid_argument(checkpoint_.directory() +
                              ": config.json has quant_method \"mxfp4\", which is read of experts "
                              "that are one tensor a layer, and a \"" +
                              config.model_type + "\" model has none: give the original model")
          .with_reason("ALREADY_QUANTIZED")
          .with_detail("file", checkpoint_.directory());
    }
    return std::move(found_);
  }

 private:
  Status add_stage(const Stage& stage) {
    const Linear& linear = stage.linears.front();
    const int64_t experts = stage.routing.experts;
    const int64_t outputs = linear.out_features * stage.linears_per_input();
    const int64_t inputs = linear.in_features;
    const TensorSpec* weights = checkpoint_.find(stage.stacked);
    const TensorSpec* blocks = checkpoint_.find(stage.stacked + "_blocks");
    const TensorSpec* scales = nullptr;
    if (blocks != nullptr) {
      ROTOR_RETURN_IF_ERROR(check_groups(*blocks, inputs));
      const std::vector<int64_t> shape{experts, outputs, inputs / kGroup};
      ROTOR_ASSIGN_OR_RETURN(scales, find(stage.stacked + "_scales", shape, true));
      ROTOR_RETURN_IF_ERROR(
          find(blocks->name, {experts, outputs, inputs / kGroup, kGroupBytes}, true).status());
    } else if (weights != nullptr) {
      ROTOR_RETURN_IF_ERROR(find(weights->name, {experts, inputs, outputs}, false).status());
    } else {
      return bad(stage.stacked, "MISSING_TENSORS",
                 "is missing, and so is " + stage.stacked +
                     "_blocks, which would hold the experts in MXFP4; complete the download");
    }
    const TensorSpec* biases = nullptr;
    if (linear.has_bias) {
      ROTOR_ASSIGN_OR_RETURN(biases, find(stage.stacked + "_bias", {experts, outputs}, false));
    }
    for (size_t i = 0; i < stage.linears.size(); ++i) {
      const std::string& name = stage.linears[i].name;
      const auto at = static_cast<int64_t>(i);
      const int64_t step = stage.linears_per_input();
      const Slice slice{at / step, at % step, step};
      const std::vector<int64_t> shape{linear.out_features, inputs};
      if (blocks != nullptr) {
        found_.push_back(std::make_unique<Mxfp4Weight>(
            TensorSpec{name + ".weight", DType::kBf16, shape}, *blocks, scales->name, slice));
      } else {
        found_.push_back(std::make_unique<TransposedWeight>(
            TensorSpec{name + ".weight", weights->dtype, shape}, *weights, slice));
      }
      if (biases != nullptr) {
        found_.push_back(std::make_unique<StackedBias>(
            TensorSpec{name + ".bias", biases->dtype, {linear.out_features}}, *biases, slice));
      }
    }
    return {};
  }

  Status bad(const std::string& tensor, const char* reason, const std::string& what) const {
    return invalid_argument(checkpoint_.directory() + ": tensor " + tensor + " " + what)
        .with_reason(reason)
        .with_detail("file", checkpoint_.directory())
        .with_detail("tensor", tensor);
  }

  Status check_groups(const TensorSpec& blocks, int64_t inputs) const {
    return inputs % kGroup == 0 ? Status()
                                : bad(blocks.name, "BAD_TENSOR_SHAPE",
                                      "has groups of 32, and the " + std::to_string(inputs) +
                                          " inputs of config.json are no multiple of them; "
                                          "correct config.json");
  }

  /// `packed`: in bytes, else in floats.
  Result<const TensorSpec*> find(const std::string& name, const std::vector<int64_t>& shape,
                                 bool packed) const {
    const TensorSpec* found = checkpoint_.find(name);
    if (found == nullptr) {
      return bad(name, "MISSING_TENSORS",
                 "is missing, and the experts' other tensors are there; complete the download");
    }
    if (found->shape != shape) {
      return bad(name, "BAD_TENSOR_SHAPE",
                 "is " + describe(*found) + ", not " + describe({name, found->dtype, shape}) +
                     " as config.json gives it; correct config.json or the checkpoint");
    }
    const bool is_float =
        found->dtype == DType::kBf16 || found->dtype == DType::kF16 || found->dtype == DType::kF32;
    if (packed ? found->dtype != DType::kU8 : !is_float) {
      return bad(name, "BAD_TENSOR_DTYPE",
                 "is " + describe(*found) + ", not " + (packed ? "U8" : "BF16, F16 or F32") +
                     "; give the original model");
    }
    return found;
  }

  const Architecture& architecture_;
  const CheckpointReader& checkpoint_;
  DecodedTensors found_;
};

}  // namespace

Result<DecodedTensors> stacked_expert_tensors(const Architecture& architecture,
                                              const CheckpointReader& checkpoint) {
  return Finder(architecture, checkpoint).run();
}

}  // namespace rotor
