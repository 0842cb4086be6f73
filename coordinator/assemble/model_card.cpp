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

std::string errors(const ReportFacts& facts) {
  if (facts.modules.empty()) {
    return "";
  }
  const MeanErrors mean = mean_errors(facts);
  const auto worst = std::max_element(facts.modules.begin(), facts.modules.end(),
                                      [](const v1::ModuleReport& a, const v1::ModuleReport& b) {
                                        return a.relative_error() < b.relative_error();
                                      });
  return "\n## Errors\n\n| | |\n|---|---|\n" +
         row("quantized modules", std::to_string(facts.modules.size())) +
         row("mean relative error of a module's output", format_number("%.3e", mean.error)) +
         row("the same, rounded to nearest", format_number("%.3e", mean.rtn_error)) +
         row("worst module",
             "`" + worst->name() + "`, " + format_number("%.3e", worst->relative_error())) +
         row("modules that fell back", std::to_string(mean.fallbacks));
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

}  // namespace

std::string model_card(const JobRecord& job, const PreparedJob& prepared, const ReportFacts& facts,
                       const std::string& source_card) {
  const std::string name = model_name(job.spec);
  const std::string format = cli_name(job.spec.format());
  std::string text =
      "---\nbase_model_relation: quantized\ntags:\n- rotor\n- " + format + "\n- " +
      cli_name(job.spec.layout()) + "\n---\n\n# " + facts.name + "\n\nThe linear layers of " +
      name + " in 4 bits, by Rotor (algorithm version " + std::to_string(job.algorithm_version) +
      "). " +
      (source_card.empty()
           ? "The source has no card of its own."
           : "The source's own card is [" + source_card + "](" + source_card + ").") +
      "\n\n" + recipe(job) + errors(facts);
  if (facts.perplexity) {
    text += "\n## Perplexity\n\n" + format_number("%.4f", *facts.perplexity) + " over " +
            std::to_string(facts.perplexity_tokens) + " predicted tokens, windows of " +
            std::to_string(job.spec.evaluation().seq_len()) + " tokens.\n";
  }
  text += "\n## Engines\n\n";
  for (const std::string& line : facts.serving_modes) {
    text += "- " + line + "\n";
  }
  return text + commands(served_checkpoint(prepared.plan));
}

}  // namespace rotor::coordinator
