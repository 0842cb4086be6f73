#include "coordinator/assemble/model_card.h"

#include <algorithm>

#include "model/served_plan.h"
#include "proto/convert.h"
#include "quant/base/units.h"
#include "quant/engines/serving.h"

namespace rotor::coordinator {
namespace {

std::string row(const std::string& key, const std::string& value) {
  return "| " + key + " | " + value + " |\n";
}

std::string rotation_text(const v1::JobSpec& spec) {
  if (spec.merged_rotation() != 0) {
    return "merged into the weights, blocks of " + std::to_string(spec.merged_rotation());
  }
  return spec.rotation() == 0 ? "none" : "online, blocks of " + std::to_string(spec.rotation());
}

std::string recipe(const JobRecord& job) {
  const v1::JobSpec& spec = job.spec;
  std::string text = "## Recipe\n\n| | |\n|---|---|\n";
  if (!spec.preset().empty()) {
    text += row("preset", spec.preset());
  }
  text += row("format", cli_name(spec.format()) + ", activations " + cli_name(spec.activations()));
  if (spec.format() == v1::FORMAT_INT4) {
    text += row("group size", std::to_string(spec.group_size()));
  }
  text += row("method", cli_name(spec.method()) + ", scales " + cli_name(spec.scale_search()) +
                            (spec.act_order() ? ", act-order" : ""));
  text += row("rotation", rotation_text(spec));
  text += row("layout", cli_name(spec.layout()));
  text += row("calibration", std::to_string(spec.calibration().sequences()) + " windows of " +
                                 std::to_string(spec.calibration().seq_len()) + " tokens");
  return text +
         "\nEvery setting, and the errors of every module: `rotor_report.json`, and as a page "
         "`rotor_report.html`.\n";
}

std::string errors(const PreparedJob& prepared, const std::vector<LayerRecord>& layers) {
  NameSet quantized;
  for (const QuantizedModule& module : prepared.info.modules) {
    quantized.insert(module.name);
  }
  double sum = 0.0;
  double rtn_sum = 0.0;
  int64_t count = 0;
  int64_t fallbacks = 0;
  const v1::ModuleReport* worst = nullptr;
  for (const LayerRecord& layer : layers) {
    for (const v1::ModuleReport& module : layer.report.modules()) {
      if (!quantized.contains(module.name())) {
        continue;
      }
      sum += module.relative_error();
      rtn_sum += module.rtn_relative_error();
      fallbacks += module.fallbacks().empty() ? 0 : 1;
      ++count;
      if (worst == nullptr || module.relative_error() > worst->relative_error()) {
        worst = &module;
      }
    }
  }
  if (worst == nullptr) {
    return "";
  }
  const auto modules = static_cast<double>(count);
  return "\n## Errors\n\n| | |\n|---|---|\n" + row("quantized modules", std::to_string(count)) +
         row("mean relative error of a module's output", format_number("%.3e", sum / modules)) +
         row("the same, rounded to nearest", format_number("%.3e", rtn_sum / modules)) +
         row("worst module",
             "`" + worst->name() + "`, " + format_number("%.3e", worst->relative_error())) +
         row("modules that fell back", std::to_string(fallbacks));
}

/// One command for each engine that has one.
std::string commands(const ServedCheckpoint& served) {
  std::string text;
  for (const Engine engine : engines_that_run(served)) {
    if (engine == Engine::kVllm) {
      text += std::string("    vllm serve DIRECTORY") +
              (served.layout == Layout::kFpQuant ? " --allow-deprecated-quantization" : "") + "\n";
    } else if (engine == Engine::kSglang) {
      text += "    python3 -m sglang.launch_server --model-path DIRECTORY\n";
    } else if (engine == Engine::kTensorRtLlm) {
      text += "    trtllm-serve DIRECTORY\n";
    }
  }
  return text.empty() ? text : "\n" + text;
}

/// The last part of the model's path.
std::string model_name(const v1::JobSpec& spec) {
  std::string name = spec.model();
  while (name.size() > 1 && name.back() == '/') {
    name.pop_back();
  }
  return name.substr(name.rfind('/') + 1);
}

}  // namespace

std::string checkpoint_title(const v1::JobSpec& spec) {
  return model_name(spec) + ", " + cli_name(spec.format());
}

std::string model_card(const JobRecord& job, const PreparedJob& prepared,
                       const std::vector<LayerRecord>& layers, const std::string& source_card) {
  const std::string name = model_name(job.spec);
  const std::string format = cli_name(job.spec.format());
  std::string text =
      "---\nbase_model_relation: quantized\ntags:\n- rotor\n- " + format + "\n- " +
      cli_name(job.spec.layout()) + "\n---\n\n# " + checkpoint_title(job.spec) +
      "\n\nThe linear layers of " + name + " in 4 bits, by Rotor (algorithm version " +
      std::to_string(job.algorithm_version) + "). " +
      (source_card.empty()
           ? "The source has no card of its own."
           : "The source's own card is [" + source_card + "](" + source_card + ").") +
      "\n\n" + recipe(job) + errors(prepared, layers);
  if (job.perplexity) {
    text += "\n## Perplexity\n\n" + format_number("%.4f", *job.perplexity) + " over " +
            std::to_string(job.perplexity_tokens) + " predicted tokens, windows of " +
            std::to_string(job.spec.evaluation().seq_len()) + " tokens.\n";
  }
  const ServedCheckpoint served = served_checkpoint(prepared.plan);
  text += "\n## Engines\n\n";
  for (const std::string& line : serving_lines(served)) {
    text += "- " + line + "\n";
  }
  return text + commands(served);
}

}  // namespace rotor::coordinator
