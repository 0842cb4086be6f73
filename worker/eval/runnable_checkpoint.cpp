#include "worker/eval/runnable_checkpoint.h"

#include <utility>
#include <vector>

#include "model/model_files.h"
#include "model/settled_config.h"
#include "model/tensor_names.h"
#include "model/tied_head.h"
#include "worker/model/dequantized_weight.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker {
namespace {

constexpr int64_t kMostConfigBytes = int64_t{16} << 20;

Status bad_module(Status status, const std::string& module) {
  return std::move(status).with_context(module).with_detail("module", module);
}

}  // namespace

Result<RunnableCheckpoint> RunnableCheckpoint::open(FileSystem& fs, const std::string& directory) {
  const std::string config_path = join_path(directory, "config.json");
  ROTOR_ASSIGN_OR_RETURN(const std::string config_text,
                         read_whole_file(fs, config_path, kMostConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(ModelConfig config,
                         parse_model_config(config_text, config_path, /*allow_quantized=*/true));
  RunnableCheckpoint opened;
  const SourceQuantization& source = config.source_quantization;
  if (source.form != StoredForm::kMxfp4Experts) {
    Result<StoredQuantization> quantization = parse_quantization_config(config_text, config_path);
    if (quantization.ok()) {
      opened.quantization_ = std::move(quantization).value();
      ROTOR_RETURN_IF_ERROR(opened.open_quantized(fs, directory, config, config_path));
      ROTOR_RETURN_IF_ERROR(check_tied_head(opened.architecture_, *opened.weights_));
      return opened;
    }
    // Of others' checkpoints the weights alone are read: right where engines keep inputs, and so
    // near where they take them in 8 bits that a source of a job may be measured.
    const bool readable = source.form == StoredForm::kScaledWeights && !source.four_bit_inputs;
    if (quantization.status().reason() != "NOT_QUANTIZED" && !readable) {
      return quantization.status();
    }
  }
  ROTOR_ASSIGN_OR_RETURN(ModelFiles files, open_model(fs, directory));
  opened.architecture_ = std::move(files.architecture);
  opened.checkpoint_ = std::move(files.checkpoint);
  opened.weights_ = std::move(files.weights);
  ROTOR_RETURN_IF_ERROR(check_tied_head(opened.architecture_, *opened.weights_));
  return opened;
}

Status RunnableCheckpoint::open_quantized(FileSystem& fs, const std::string& directory,
                                          ModelConfig config, const std::string& config_path) {
  layout_ = &find_layout(quantization_.layout);
  ROTOR_ASSIGN_OR_RETURN(checkpoint_, CheckpointReader::open(fs, directory));
  settle_config(*checkpoint_, config);
  Result<Architecture> architecture = describe(config, find_tensor_names(*checkpoint_));
  if (!architecture.ok()) {
    return architecture.status().with_context(config_path).with_detail("file", config_path);
  }
  architecture_ = std::move(architecture).value();
  settle_head(*checkpoint_, architecture_);
  weights_ = checkpoint_;
  for (const TensorSpec& tensor : checkpoint_->tensors()) {
    if (std::string module = layout_->module_of_codes(tensor); !module.empty()) {
      quantized_.insert(std::move(module));
    }
  }
  return check_modules();
}

Status RunnableCheckpoint::check_modules() const {
  NameSet linears;
  for (const Layer& layer : architecture_.layers) {
    for (const Stage& stage : layer.stages) {
      for (const Linear& linear : stage.linears) {
        linears.insert(linear.name);
      }
    }
  }
  for (const std::string& module : quantized_) {
    if (!linears.contains(module)) {
      return unimplemented(checkpoint_->directory() + ": " + module +
                           " is quantized, and only the linears of decoder layers can be run "
                           "quantized; leave it out of the quantization")
          .with_reason("CANNOT_RUN_MODULE")
          .with_detail("module", module);
    }
    if (quantization_.ignored.contains(module)) {
      return invalid_argument(checkpoint_->directory() + ": " + module +
                              " holds packed codes, and config.json lists it under \"ignore\"; "
                              "one of the two is wrong")
          .with_reason("BAD_CHECKPOINT")
          .with_detail("module", module);
    }
  }
  return {};
}

Result<EndWeights> RunnableCheckpoint::ends(Backend& backend) const {
  StoredWeights source(*weights_);
  return load_ends(backend, source, architecture_);
}

Result<LayerWeights> RunnableCheckpoint::layer(Backend& backend, const Layer& layer) const {
  StoredWeights source(*weights_);
  LayerWeights weights;
  for (const Stage& stage : layer.stages) {
    ROTOR_ASSIGN_OR_RETURN(StageWeights of_stage, load_stage_vectors(backend, source, stage));
    for (size_t i = 0; i < stage.linears.size(); ++i) {
      const Linear& linear = stage.linears[i];
      LinearWeights& of_linear = of_stage.linears[i];
      if (!quantized_.contains(linear.name)) {
        ROTOR_ASSIGN_OR_RETURN(of_linear.weight,
                               load_tensor(backend, source, linear.name + ".weight",
                                           linear.out_features, linear.in_features));
        continue;
      }
      Result<LinearWeights> decoded = quantized_linear(backend, linear);
      if (!decoded.ok()) {
        return bad_module(decoded.status(), linear.name);
      }
      of_linear.weight = decoded->weight;
      of_linear.transform = decoded->transform;
    }
    weights.stages.push_back(std::move(of_stage));
  }
  return weights;
}

Result<LinearWeights> RunnableCheckpoint::quantized_linear(Backend& backend,
                                                           const Linear& linear) const {
  ROTOR_ASSIGN_OR_RETURN(const QuantizedMatrix matrix,
                         layout_->decode(linear.name, quantization_.scheme, *checkpoint_));
  if (matrix.rows != linear.out_features || matrix.cols != linear.in_features) {
    return invalid_argument("is stored as [" + std::to_string(matrix.rows) + ", " +
                            std::to_string(matrix.cols) + "], and config.json asks for [" +
                            std::to_string(linear.out_features) + ", " +
                            std::to_string(linear.in_features) + "]")
        .with_reason("BAD_TENSOR_SHAPE");
  }
  LinearWeights weights;
  if (const StoredRotation* rotation = quantization_.rotation_of(linear.name)) {
    weights.transform.rotation = rotation->block;
  }
  if (quantization_.activations == Activations::kA4) {
    const bool has_global = has_global_scale(matrix.scheme);
    if (has_global && !(matrix.input_global_scale > 0.0F)) {
      return data_loss("has no global scale of its input, which a4 needs")
          .with_reason("BAD_CHECKPOINT");
    }
    weights.transform.quant =
        ActivationQuant{matrix.scheme, has_global ? matrix.input_global_scale : 1.0F};
  }
  ROTOR_ASSIGN_OR_RETURN(weights.weight, dequantized_weight(backend, matrix));
  return weights;
}

}  // namespace rotor::worker
