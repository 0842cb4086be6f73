#include "model/stacked_experts.h"

#include <utility>

#include "model/stacked_slices.h"

namespace rotor {
namespace {

class Finder {
 public:
  Finder(const Architecture& architecture, const CheckpointReader& checkpoint)
      : architecture_(architecture), checkpoint_(checkpoint) {}

  Result<DecodedTensors> run() {
    for (const Layer& layer : architecture_.layers) {
      ROTOR_RETURN_IF_ERROR(add_layer(layer));
    }
    const ModelConfig& config = architecture_.config;
    if (config.source_quantization.form == StoredForm::kMxfp4Experts && !any_interleaved_) {
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
  Status add_layer(const Layer& layer) {
    for (const Stage& stage : layer.stages) {
      any_interleaved_ = any_interleaved_ || stage.stack.interleaved;
      if (!stage.stack.empty() &&
          checkpoint_.find(stage.linears.front().name + ".weight") == nullptr) {
        ROTOR_RETURN_IF_ERROR(add_stage(stage, inputs_first(layer)));
        add_renamed(stage);
      }
    }
    return {};
  }

  /// Whether the stacks of the layer have inputs before outputs. One of the two may have as many of
  /// either, never both.
  bool inputs_first(const Layer& layer) const {
    for (const Stage& stage : layer.stages) {
      const TensorSpec* stack = stage.stack.empty() ? nullptr : checkpoint_.find(stage.stack.name);
      const int64_t outputs = outputs_of(stage);
      if (stage.stack.interleaved ||
          (stack != nullptr && outputs != stage.in_features &&
           stack->shape == std::vector{stage.routing.experts, stage.in_features, outputs})) {
        return true;
      }
    }
    return false;
  }

  static int64_t outputs_of(const Stage& stage) {
    return stage.linears.front().out_features * stage.linears_per_input();
  }

  Status add_stage(const Stage& stage, bool transposed) {
    const Linear& linear = stage.linears.front();
    const int64_t experts = stage.routing.experts;
    const int64_t outputs = outputs_of(stage);
    const int64_t inputs = linear.in_features;
    const std::string& stacked = stage.stack.name;
    const TensorSpec* weights = checkpoint_.find(stacked);
    const TensorSpec* blocks =
        stage.stack.interleaved ? checkpoint_.find(stacked + "_blocks") : nullptr;
    const TensorSpec* scales = nullptr;
    if (blocks != nullptr) {
      ROTOR_RETURN_IF_ERROR(check_groups(*blocks, inputs));
      const std::vector<int64_t> shape{experts, outputs, inputs / kMxfp4Group};
      ROTOR_ASSIGN_OR_RETURN(scales, find(stacked + "_scales", shape, true));
      ROTOR_RETURN_IF_ERROR(
          find(blocks->name, {experts, outputs, inputs / kMxfp4Group, kMxfp4Group / 2}, true)
              .status());
    } else if (weights != nullptr) {
      const std::vector<int64_t> shape = transposed ? std::vector{experts, inputs, outputs}
                                                    : std::vector{experts, outputs, inputs};
      ROTOR_RETURN_IF_ERROR(find(weights->name, shape, false).status());
    } else if (stage.stack.interleaved) {
      return bad(stacked, "MISSING_TENSORS",
                 "is missing, and so is " + stacked +
                     "_blocks, which would hold the experts in MXFP4; complete the download");
    } else {
      return {};  // neither form is there: what is missing is told by the linears' names
    }
    const TensorSpec* biases = nullptr;
    if (linear.has_bias) {
      ROTOR_ASSIGN_OR_RETURN(biases, find(stacked + "_bias", {experts, outputs}, false));
    }
    for (size_t i = 0; i < stage.linears.size(); ++i) {
      const std::string& name = stage.linears[i].name;
      const StackSlice slice = slice_of(stage, static_cast<int64_t>(i));
      const std::vector<int64_t> shape{linear.out_features, inputs};
      if (blocks != nullptr) {
        found_.push_back(
            mxfp4_slice({name + ".weight", DType::kBf16, shape}, *blocks, scales->name, slice));
      } else {
        const TensorSpec spec{name + ".weight", weights->dtype, shape};
        found_.push_back(transposed ? transposed_slice(spec, *weights, slice)
                                    : rows_slice(spec, *weights, slice));
      }
      if (biases != nullptr) {
        found_.push_back(
            bias_slice({name + ".bias", biases->dtype, {linear.out_features}}, *biases, slice));
      }
    }
    return {};
  }

  static StackSlice slice_of(const Stage& stage, int64_t linear) {
    const int64_t many = stage.linears_per_input();
    const int64_t place = linear % many;
    return stage.stack.interleaved
               ? StackSlice{linear / many, place, many}
               : StackSlice{linear / many, place * stage.linears.front().out_features, 1};
  }

  void add_renamed(const Stage& stage) {
    for (const auto& [name, stored_name] : stage.stack.renamed) {
      const TensorSpec* stored = checkpoint_.find(stored_name);
      if (stored != nullptr && checkpoint_.find(name) == nullptr) {
        found_.push_back(renamed_tensor(name, *stored));
      }
    }
  }

  Status bad(const std::string& tensor, const char* reason, const std::string& what) const {
    return invalid_argument(checkpoint_.directory() + ": tensor " + tensor + " " + what)
        .with_reason(reason)
        .with_detail("file", checkpoint_.directory())
        .with_detail("tensor", tensor);
  }

  Status check_groups(const TensorSpec& blocks, int64_t inputs) const {
    return inputs % kMxfp4Group == 0 ? Status()
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
  bool any_interleaved_ = false;
};

}  // namespace

Result<DecodedTensors> stacked_expert_tensors(const Architecture& architecture,
                                              const CheckpointReader& checkpoint) {
  return Finder(architecture, checkpoint).run();
}

}  // namespace rotor
