#include "coordinator/jobs/prepared_job.h"

#include <utility>

#include "coordinator/jobs/copied_tensors.h"
#include "model/wrappers.h"
#include "proto/convert.h"
#include "quant/checkpoint/layout_limits.h"
#include "quant/checkpoint/linear_names.h"
#include "quant/checkpoint/wrapped_names.h"

namespace rotor::coordinator {
namespace {

/// The stage's experts as one; the number of its first module is `first`.
ModuleStack stack_of(const StagePlan& stage, size_t first, const ModelFiles& model) {
  ModuleStack stack{stage.stage.stack.name,
                    first,
                    std::ssize(stage.modules),
                    stage.stage.linears_per_input(),
                    {}};
  const TensorSpec* const bias = model.weights->find(stage.stage.linears.front().name + ".bias");
  if (bias != nullptr) {
    stack.bias = bias->dtype;
  }
  return stack;
}

QuantizationInfo describe_quantization(const ModelPlan& plan, const LayoutLimits& limits,
                                       const ModelFiles& model) {
  QuantizationInfo info;
  info.scheme = plan.options.scheme;
  info.activations = plan.options.activations;
  info.scale_search = plan.options.scale_search;
  info.act_order = plan.options.act_order;
  for (const LayerPlan& layer : plan.layers) {
    for (const StagePlan& stage : layer.stages) {
      if (!stage.stage.router.empty()) {
        info.ignored.push_back(stage.stage.router);
      }
      if (limits.stacked_experts_alone && stage.stage.has_experts()) {
        info.stacks.push_back(stack_of(stage, info.modules.size(), model));
      }
      for (const Linear& gate : stage.stage.gates) {
        info.ignored.push_back(gate.name);
      }
      for (const ModulePlan& module : stage.modules) {
        const Linear& linear = module.linear;
        if (module.quantized) {
          info.modules.push_back(
              {linear.name, linear.out_features, linear.in_features, module.rotation});
        } else {
          info.ignored.push_back(linear.name);
        }
      }
    }
  }
  info.ignored.push_back(plan.architecture.head);
  // Linears of what is copied, such as layers that predict further tokens.
  for (const std::string& name : model.extra_tensors) {
    std::string linear = linear_of(*model.weights->find(name));
    if (!linear.empty() && linear != plan.architecture.head) {
      info.ignored.push_back(std::move(linear));
    }
  }
  if (plan.architecture.embedding == "embed_tokens.weight") {
    // A bare backbone, which most classes load with a prefix.
    const std::vector<std::string> stored = info.ignored;
    for (const std::string& name : stored) {
      info.ignored.push_back("model." + name);
    }
  }
  if (!plan.architecture.config.wrapper.empty()) {
    const std::vector<std::string> stored = info.ignored;
    for (const std::string& name : stored) {
      if (std::string loaded = name_in_transformers(name); loaded != name) {
        info.ignored.push_back(std::move(loaded));
      }
    }
  }
  return info;
}

/// The source's tensors in model order, whatever order its files have; what the architecture does
/// not know comes last, by name.
std::vector<TensorSpec> in_model_order(const ModelFiles& model, const ModelPlan& plan) {
  std::vector<TensorSpec> ordered;
  for (const ExpectedTensor& expected : expected_tensors(plan.architecture)) {
    const TensorMerge* merge = plan.merge.find(expected.name);
    TensorSpec spec = *model.weights->find(merge == nullptr ? expected.name : merge->source);
    spec.name = expected.name;
    ordered.push_back(std::move(spec));
  }
  for (const std::string& name : model.extra_tensors) {
    if (plan.merge.find(name) == nullptr) {  // a tied model's file may hold its head all the same
      ordered.push_back(*model.weights->find(name));
    }
  }
  return ordered;
}

std::vector<std::vector<TensorSpec>> tensors_by_layer(const PreparedJob& job) {
  std::vector<std::vector<TensorSpec>> layers;
  auto module = job.info.modules.begin();
  for (const LayerPlan& layer : job.plan.layers) {
    std::vector<TensorSpec>& tensors = layers.emplace_back();
    for (const StagePlan& stage : layer.stages) {
      for (const ModulePlan& planned : stage.modules) {
        if (planned.quantized) {
          // info.modules lists the quantized modules of the plan in the plan's order.
          for (TensorSpec& spec :
               job.layout->tensor_specs(*module, job.info.scheme, job.info.activations)) {
            tensors.push_back(std::move(spec));
          }
          ++module;
        }
      }
    }
  }
  return layers;
}

}  // namespace

Result<std::shared_ptr<const PreparedJob>> prepare_job(const v1::JobSpec& spec,
                                                       const ModelFiles& model) {
  auto job = std::make_shared<PreparedJob>();
  ROTOR_ASSIGN_OR_RETURN(const QuantOptions options,
                         to_options(spec, model.architecture.config.dtype));
  ROTOR_RETURN_IF_ERROR(check_merge(model, spec));
  ROTOR_ASSIGN_OR_RETURN(job->plan, make_plan(model.architecture, options));
  job->layout = &find_layout(options.layout);
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits,
                         find_limits(options.layout, options.scheme.format, options.activations));
  job->info = describe_quantization(job->plan, *limits, model);
  job->quantized_modules = static_cast<int64_t>(job->info.modules.size());
  job->layer_tensors = tensors_by_layer(*job);
  ROTOR_ASSIGN_OR_RETURN(
      job->checkpoint_tensors,
      checkpoint_tensors(*job->layout, job->info, in_model_order(model, job->plan)));
  std::string source_config = model.config_text;
  if (model.architecture.config.source_quantization.form != StoredForm::kPlain) {
    // What stays unquantized is written decoded: a config has words for one quantization alone.
    ROTOR_ASSIGN_OR_RETURN(source_config, without_source_quantization(source_config));
  }
  ROTOR_ASSIGN_OR_RETURN(source_config,
                         with_named_dtype(source_config, model.architecture.config.dtype));
  if (options.merged_rotation != 0) {
    ROTOR_ASSIGN_OR_RETURN(source_config, merged_config(model.architecture, source_config));
  }
  ROTOR_ASSIGN_OR_RETURN(std::string config, job->layout->config_json(source_config, job->info));
  ROTOR_ASSIGN_OR_RETURN(job->text_files, job->layout->other_files(job->info));
  job->text_files.push_back({"config.json", std::move(config)});
  return std::shared_ptr<const PreparedJob>(std::move(job));
}

}  // namespace rotor::coordinator
