#include "model/model_files.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "model/scaled_weights.h"
#include "model/settled_config.h"
#include "model/stacked_experts.h"
#include "model/tensor_names.h"

namespace rotor {
namespace {

constexpr int64_t kMostConfigBytes = int64_t{16} << 20;

bool is_float(DType dtype) {
  return dtype == DType::kBf16 || dtype == DType::kF16 || dtype == DType::kF32;
}

Status tensor_error(const std::string& directory, const std::string& message,
                    const std::string& reason, const std::vector<std::string>& names) {
  return invalid_argument(directory + ": " + message)
      .with_reason(reason)
      .with_detail("file", directory)
      .with_detail("tensors", list_some(names));
}

/// The weights as the model has them, and what is stored besides.
Status open_weights(ModelFiles& files) {
  const Architecture& architecture = files.architecture;
  const SourceQuantization& quantization = architecture.config.source_quantization;
  ScaledWeights decoded;
  if (quantization.form == StoredForm::kScaledWeights) {
    ROTOR_ASSIGN_OR_RETURN(
        decoded, find_scaled_weights(*files.checkpoint, quantization, architecture.config.dtype));
  } else {
    ROTOR_ASSIGN_OR_RETURN(decoded.tensors,
                           stacked_expert_tensors(architecture, *files.checkpoint));
  }
  ROTOR_ASSIGN_OR_RETURN(
      files.weights,
      SourceWeights::make(files.checkpoint, std::move(decoded.tensors), decoded.left_out));
  files.left_out = std::move(decoded.left_out);
  return {};
}

/// What the architecture consists of, and behind it what is copied for engines alone.
std::vector<ExpectedTensor> needed_tensors(const Architecture& architecture) {
  std::vector<ExpectedTensor> needed = expected_tensors(architecture);
  for (const Layer& layer : architecture.layers) {
    for (const Stage& stage : layer.stages) {
      for (const CopiedTensor& copied : stage.copied) {
        needed.push_back({copied.name, copied.shape});
      }
    }
  }
  return needed;
}

/// What was trained beside the weights and not merged into them would be left out of what is
/// quantized, and engines know no such tensors.
Status check_adapters(const ModelFiles& files) {
  std::vector<std::string> adapters;
  for (const TensorSpec& tensor : files.checkpoint->tensors()) {
    if (tensor.name.find(".lora_") != std::string::npos ||
        tensor.name.find(".base_layer.") != std::string::npos) {
      adapters.push_back(tensor.name);
    }
  }
  return adapters.empty()
             ? Status()
             : tensor_error(files.directory,
                            "the checkpoint holds an adapter that was not merged into the model: " +
                                list_some(adapters) +
                                "; merge it (peft: merge_and_unload()) and save the model again",
                            "UNMERGED_ADAPTER", adapters);
}

/// The stored name that `missing` is the end of, where training wrapped the model; or empty.
std::string wrapped_name(const ModelFiles& files, const std::string& missing) {
  const auto& tensors = files.checkpoint->tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorSpec& tensor) {
    return tensor.name.ends_with("." + missing);
  });
  return found == tensors.end() ? "" : found->name;
}

/// Holds the weights against the architecture, and fills in what is there besides.
Status check_tensors(ModelFiles& files) {
  const SourceWeights& weights = *files.weights;
  std::vector<std::string> missing;
  std::vector<std::string> wrong_shape;
  std::vector<std::string> wrong_dtype;
  for (const ExpectedTensor& expected : needed_tensors(files.architecture)) {
    const TensorSpec* found = weights.find(expected.name);
    if (found == nullptr) {
      missing.push_back(expected.name);
    } else if (found->shape != expected.shape) {
      const TensorSpec wanted{expected.name, found->dtype, expected.shape};
      wrong_shape.push_back(expected.name + " is " + describe(*found) + ", not " +
                            describe(wanted));
    } else if (!is_float(found->dtype)) {
      wrong_dtype.push_back(expected.name + " (" + std::string(dtype_name(found->dtype)) + ")");
    }
  }
  if (!missing.empty()) {
    std::string remedy = "; complete the download, or correct config.json";
    if (missing.size() == 1 && missing[0] == files.architecture.head_weight) {
      remedy =
          "; if the output head is the embedding, set tie_word_embeddings in config.json, and if "
          "the model has none, let architectures name its class, such as "
          "\"LlamaForSequenceClassification\"";
    } else if (const std::string wrapped = wrapped_name(files, missing[0]); !wrapped.empty()) {
      remedy = "; it holds " + wrapped + ": save the model without what it was wrapped in";
    }
    return tensor_error(files.directory,
                        "the checkpoint lacks " + std::to_string(missing.size()) +
                            " tensors that a \"" + files.architecture.config.model_type +
                            "\" model needs: " + list_some(missing) + remedy,
                        "MISSING_TENSORS", missing);
  }
  if (!wrong_shape.empty()) {
    return tensor_error(files.directory,
                        "tensors do not have the shape that config.json gives: " +
                            list_some(wrong_shape) + "; correct config.json or the checkpoint",
                        "BAD_TENSOR_SHAPE", wrong_shape);
  }
  if (!wrong_dtype.empty()) {
    return tensor_error(files.directory,
                        "tensors are neither BF16, F16 nor F32: " + list_some(wrong_dtype) +
                            "; give the original model, not a quantized one, or save it in BF16",
                        "BAD_TENSOR_DTYPE", wrong_dtype);
  }
  std::unordered_set<std::string> expected_names;
  for (const ExpectedTensor& expected : expected_tensors(files.architecture)) {
    expected_names.insert(expected.name);
  }
  for (const TensorSpec& tensor : weights.tensors()) {
    if (!expected_names.contains(tensor.name)) {
      files.extra_tensors.push_back(tensor.name);
    }
  }
  std::sort(files.extra_tensors.begin(), files.extra_tensors.end());
  return {};
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Architecture& architecture) {
  const ModelConfig& config = architecture.config;
  std::vector<ExpectedTensor> tensors;
  std::string last_norm;  // a shared expert reads the norm that the others read
  tensors.push_back({architecture.embedding, {config.vocab_size, config.hidden_size}});
  for (const Layer& layer : architecture.layers) {
    for (const Stage& stage : layer.stages) {
      for (const Norm* norm : norms_of(stage)) {
        if (norm->weight != last_norm) {
          tensors.push_back({norm->weight, {norm->features}});
        }
        last_norm = norm->weight;
      }
      if (!stage.attention.sinks.empty()) {
        tensors.push_back({stage.attention.sinks, {stage.attention.heads}});
      }
      if (!stage.router.empty()) {
        tensors.push_back({stage.router + ".weight", {stage.routing.experts, stage.in_features}});
        if (stage.router_bias) {
          tensors.push_back({stage.router + ".bias", {stage.routing.experts}});
        }
      }
      for (const Linear& gate : stage.gates) {
        tensors.push_back({gate.name + ".weight", {gate.out_features, gate.in_features}});
      }
      if (const DeltaNet& delta = stage.delta; !delta.convolution.empty()) {
        tensors.push_back({delta.convolution, {delta.mixed_features(), 1, delta.taps}});
        tensors.push_back({delta.decay, {delta.value_heads}});
        tensors.push_back({delta.step, {delta.value_heads}});
      }
      if (!stage.router_correction.empty()) {
        tensors.push_back({stage.router_correction, {stage.routing.experts}});
      }
      for (const Linear& linear : stage.linears) {
        tensors.push_back({linear.name + ".weight", {linear.out_features, linear.in_features}});
        if (linear.has_bias) {
          tensors.push_back({linear.name + ".bias", {linear.out_features}});
        }
      }
    }
  }
  tensors.push_back({architecture.final_norm.weight, {config.hidden_size}});
  if (architecture.head_weight != architecture.embedding && !architecture.head_weight.empty()) {
    tensors.push_back({architecture.head_weight, {config.vocab_size, config.hidden_size}});
  }
  return tensors;
}

Result<ModelFiles> open_model(FileSystem& fs, const std::string& directory) {
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(directory));
  if (!stat.is_directory()) {
    return invalid_argument(directory +
                            ": is not a directory; a model is the directory that holds "
                            "config.json and the .safetensors files")
        .with_reason("NOT_A_DIRECTORY")
        .with_detail("file", directory);
  }
  ModelFiles files;
  files.directory = directory;
  const std::string config_path = join_path(directory, "config.json");
  ROTOR_ASSIGN_OR_RETURN(files.config_text, read_whole_file(fs, config_path, kMostConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(ModelConfig config, parse_model_config(files.config_text, config_path));
  ROTOR_ASSIGN_OR_RETURN(files.checkpoint, CheckpointReader::open(fs, directory));
  ROTOR_RETURN_IF_ERROR(check_adapters(files));
  settle_config(*files.checkpoint, config);
  Result<Architecture> architecture = describe(config, find_tensor_names(*files.checkpoint));
  if (!architecture.ok()) {
    return architecture.status().with_context(config_path).with_detail("file", config_path);
  }
  files.architecture = std::move(architecture).value();
  settle_head(*files.checkpoint, files.architecture);
  ROTOR_RETURN_IF_ERROR(open_weights(files));
  ROTOR_RETURN_IF_ERROR(check_tensors(files));
  ROTOR_ASSIGN_OR_RETURN(files.other_files, list_source_files(fs, *files.checkpoint));
  return files;
}

}  // namespace rotor
