#include "coordinator/jobs/estimate.h"

#include <algorithm>
#include <map>
#include <set>

#include "model/served_plan.h"
#include "model/tensor_names.h"
#include "quant/checkpoint/safetensors_plan.h"
#include "quant/checkpoint/sharding.h"
#include "quant/engines/serving.h"

namespace rotor::coordinator {
namespace {

constexpr int64_t kFloatBytes = 4;

Result<int64_t> output_bytes(FileSystem& fs, const v1::JobSpec& spec, const PreparedJob& job,
                             const ModelFiles& model) {
  int64_t bytes = 0;
  ROTOR_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                         cut_into_shards(job.checkpoint_tensors, spec.max_shard_size()));
  for (const Shard& shard : shards) {
    ROTOR_ASSIGN_OR_RETURN(const SafetensorsPlan plan, plan_safetensors(shard.tensors));
    bytes += plan.file_size;
  }
  if (shards.size() > 1) {
    bytes += static_cast<int64_t>(index_json(shards).size());
  }
  for (const std::string& name : model.other_files.copied) {
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(join_path(model.directory, name)));
    bytes += stat.size;
  }
  for (const TextFile& file : job.text_files) {
    bytes += static_cast<int64_t>(file.text.size());
  }
  return bytes;
}

Result<int64_t> staging_bytes(const PreparedJob& job) {
  int64_t bytes = 0;
  for (const std::vector<TensorSpec>& tensors : job.layer_tensors) {
    if (!tensors.empty()) {
      ROTOR_ASSIGN_OR_RETURN(const SafetensorsPlan plan, plan_safetensors(tensors));
      bytes += plan.file_size;
    }
  }
  return bytes;
}

/// One decoder layer in F32 with the next one being read, the Hessian of its widest stage with its
/// rotated copy and factor, and the residual stream and what lies between two stages of every
/// calibration token; a mixture has Hessians, and rows of a token, of several experts.
int64_t worker_bytes(const PreparedJob& job, int64_t tokens) {
  int64_t weights = 0;
  int64_t hessian = 0;
  int64_t widest = 0;
  for (size_t l = 0; l < job.plan.layers.size(); ++l) {
    int64_t layer_weights = 0;
    const std::vector<StagePlan>& stages = job.plan.layers[l].stages;
    for (size_t s = 0; s < stages.size(); ++s) {
      const StagePlan& stage = stages[s];
      const int64_t width = stage.stage.in_features;
      const int64_t experts = std::max<int64_t>(stage.stage.routing.experts, 1);
      const int64_t one = 3 * width * width * kFloatBytes;
      hessian = std::max(hessian, std::max(one, std::min(experts * one, kExpertHessianBytes)));
      int64_t carried = 0;
      for (const CarryPart& part : carried_behind(job.plan.architecture.layers[l], s)) {
        carried += part.features;
      }
      widest = std::max(widest, carried);
      for (const ModulePlan& module : stage.modules) {
        layer_weights += module.linear.out_features * module.linear.in_features;
      }
    }
    weights = std::max(weights, 2 * layer_weights * kFloatBytes);
  }
  const int64_t hidden = job.plan.architecture.config.hidden_size;
  return weights + hessian + tokens * (hidden + widest) * kFloatBytes;
}

/// Multiply and add count as two. Forward 2TNK and attention; one Hessian a stage, T K^2 as a lower
/// triangle; Cholesky and triangular inverse 2/3 K^3; solve N K^2 (algorithm.md sections 3, 4, 6).
/// An expert sees its share of the tokens and has a Hessian of its own.
double flops(const PreparedJob& job, int64_t tokens, int64_t seq_len) {
  const ModelConfig& config = job.plan.architecture.config;
  const auto t = static_cast<double>(tokens);
  double sum = 0.0;
  for (const LayerPlan& layer : job.plan.layers) {
    sum += 2.0 * t * static_cast<double>(seq_len) *
           static_cast<double>(config.num_heads * config.head_dim);
    for (const StagePlan& stage : layer.stages) {
      const auto k = static_cast<double>(stage.stage.in_features);
      const RoutingRule& routing = stage.stage.routing;
      const double hessians =
          stage.stage.has_experts() ? static_cast<double>(routing.experts) : 1.0;
      const double seen =
          stage.stage.has_experts() ? t * static_cast<double>(routing.per_token) / hessians : t;
      bool solved = false;
      for (const ModulePlan& module : stage.modules) {
        const auto n = static_cast<double>(module.linear.out_features);
        sum += 2.0 * seen * n * k;
        if (module.quantized && module.method != Method::kRtn) {
          sum += n * k * k;
          solved = true;
        }
      }
      sum += solved ? hessians * (seen * k * k + 2.0 / 3.0 * k * k * k) : 0.0;
    }
  }
  return sum;
}

/// Names with * for each number between dots, each once: layers and experts are many.
std::set<std::string> names_without_numbers(const std::vector<std::string>& names) {
  std::set<std::string> all;
  for (const std::string& name : names) {
    std::string general;
    for (size_t begin = 0; begin <= name.size();) {
      const size_t end = std::min(name.find('.', begin), name.size());
      const std::string part = name.substr(begin, end - begin);
      const bool number = part.find_first_not_of("0123456789") == std::string::npos;
      general += (begin == 0 ? "" : ".") + (number ? "*" : part);
      begin = end + 1;
    }
    all.insert(std::move(general));
  }
  return all;
}

void warn(const std::string& what, const std::set<std::string>& names, v1::Estimate& estimate) {
  if (!names.empty()) {
    estimate.add_warnings(what + list_some({names.begin(), names.end()}));
  }
}

/// Linears that are quantized anew from codes of 4 bits, by the format of these.
std::map<Format, std::vector<std::string>> four_bit_linears(const PreparedJob& job,
                                                            const ModelFiles& model) {
  std::map<Format, std::vector<std::string>> linears;
  for (const QuantizedModule& module : job.info.modules) {
    const DecodedTensor* decoder = model.weights->decoder_of(module.name + ".weight");
    if (decoder != nullptr && decoder->four_bit_format()) {
      linears[*decoder->four_bit_format()].push_back(module.name);
    }
  }
  return linears;
}

/// What the source has that the checkpoint will not, or not as well.
void warn_of_source(const PreparedJob& job, const ModelFiles& model, v1::Estimate& estimate) {
  for (const auto& [format, linears] : four_bit_linears(job, model)) {
    warn("the source has these in " + std::string(to_string(format)) +
             " already, and they lose accuracy a second time (" + std::to_string(linears.size()) +
             " of " + std::to_string(job.info.modules.size()) + " linears): ",
         names_without_numbers(linears), estimate);
  }
  warn("copied as it is, being no part of what is quantized: ",
       names_without_numbers(model.extra_tensors), estimate);
  warn("left behind, being scales of quantized inputs or caches: ",
       names_without_numbers(model.left_out), estimate);
  const std::vector<std::string>& files = model.other_files.left_behind;
  warn("left behind, being weights in other files: ", {files.begin(), files.end()}, estimate);
}

}  // namespace

Result<v1::Estimate> estimate_job(FileSystem& fs, const v1::JobSpec& spec, const PreparedJob& job,
                                  const ModelFiles& model, int64_t calibration_tokens) {
  v1::Estimate estimate;
  int64_t source = 0;
  for (const auto& shard : model.checkpoint->shards()) {
    source += shard->file_size();
  }
  estimate.set_source_bytes(source);
  ROTOR_ASSIGN_OR_RETURN(const int64_t output, output_bytes(fs, spec, job, model));
  estimate.set_output_bytes(output);
  ROTOR_ASSIGN_OR_RETURN(const int64_t staging, staging_bytes(job));
  estimate.set_staging_bytes(staging);
  estimate.set_worker_bytes_per_group(worker_bytes(job, calibration_tokens));
  estimate.set_calibration_tokens(calibration_tokens);
  estimate.set_flops(flops(job, calibration_tokens, spec.calibration().seq_len()));
  const ServedCheckpoint served = served_checkpoint(job.plan);
  for (std::string& line : serving_lines(served)) {
    estimate.add_serving_modes(std::move(line));
  }
  for (const Engine engine : engines_that_run(served)) {
    estimate.add_engines(std::string(to_string(engine)));
  }
  if (spec.serve_on().empty()) {
    for (std::string& line : rotation_warnings(served)) {
      estimate.add_warnings(std::move(line));
    }
  }
  warn_of_source(job, model, estimate);
  return estimate;
}

}  // namespace rotor::coordinator
