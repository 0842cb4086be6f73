#include "ops/cli/report_table.h"

#include <algorithm>

#include "ops/cli/job_json.h"
#include "ops/cli/quantize_line.h"
#include "proto/enum_names.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

constexpr size_t kLongTable = 40;
constexpr size_t kWorst = 10;

size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string rotation_text(int block) {
  return block == 0 ? "none" : std::to_string(block);
}

std::string fallback_text(const v1::ModuleReport& module) {
  std::string text;
  for (const v1::Fallback& fallback : module.fallbacks()) {
    text += (text.empty() ? "" : ", ") + fallback.kind();
  }
  return text;
}

std::vector<const v1::ModuleReport*> modules_of(const v1::Report& report) {
  std::vector<const v1::ModuleReport*> modules;
  for (const v1::LayerReport& layer : report.layers()) {
    for (const v1::ModuleReport& module : layer.modules()) {
      modules.push_back(&module);
    }
  }
  return modules;
}

std::string phases_text(const v1::Report& report) {
  std::string text;
  for (const v1::PhaseTime& phase : report.phases()) {
    text += (text.empty() ? "" : ", ") + phase.phase() + " " + format_duration(phase.seconds());
  }
  return text;
}

std::string line(const std::string& key, const std::string& value) {
  constexpr size_t kKeyWidth = 12;
  return key + std::string(kKeyWidth - std::min(kKeyWidth - 1, key.size()), ' ') + value + "\n";
}

/// The engines that run the checkpoint, and the command of the first that has one.
std::string serve_text(const v1::Job& job) {
  std::string names;
  for (const std::string& engine : job.estimate().engines()) {
    names += (names.empty() ? "" : ", ") + engine;
  }
  if (names.empty()) {
    return "no engine is known to run it";
  }
  const bool vllm = job.estimate().engines(0) == "vllm";
  return vllm ? "vllm serve " + shell_word(job.output_path()) + "  (" + names + ")"
              : "with " + names;
}

std::string percent(const v1::Job& job) {
  return job.layers() > 0 ? std::to_string(100 * job.committed_layers() / job.layers()) + "%" : "";
}

std::string recipe_text(const v1::JobSpec& spec) {
  const std::string rotation = spec.merged_rotation() == 0
                                   ? rotation_text(spec.rotation())
                                   : "merged:" + rotation_text(spec.merged_rotation());
  return cli_name(spec.format()) + " " + cli_name(spec.method()) + " " +
         cli_name(spec.activations()) + ", rotation " + rotation + ", " +
         cli_name(spec.scale_search()) + " scales" + (spec.act_order() ? ", act-order" : "") +
         ", " + cli_name(spec.layout());
}

std::string free_text(int64_t free, int64_t needed) {
  return format_bytes(free) + " free" + (free < needed ? ", which is too little" : "");
}

/// What only matters before a job is submitted.
std::string plan_text(const v1::Estimate& estimate) {
  std::string text = line(
      "time", estimate.has_seconds() ? "about " + format_duration(estimate.seconds()) +
                                           " for one worker group as fast as the last one here"
                                     : "not known: no layer was committed on this coordinator yet");
  if (estimate.has_staging_free_bytes()) {
    text += line("state", free_text(estimate.staging_free_bytes(), estimate.staging_bytes()));
  }
  if (estimate.has_output_free_bytes()) {
    text += line("disk", free_text(estimate.output_free_bytes(), estimate.output_bytes()));
  }
  return text;
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<bool>& right) {
  std::vector<size_t> widths(right.size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], columns(row[i]));
    }
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string out;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - columns(row[i]), ' ');
      out += (i == 0 ? "" : "  ") + (right[i] ? padding + row[i] : row[i] + padding);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

std::string module_table(const v1::Report& report, bool all) {
  std::vector<const v1::ModuleReport*> modules = modules_of(report);
  std::string note;
  if (!all && modules.size() > kLongTable) {
    note = "the " + std::to_string(kWorst) + " worst of " + std::to_string(modules.size()) +
           " modules; --all shows every one\n";
    std::stable_sort(modules.begin(), modules.end(), [](const auto* a, const auto* b) {
      return a->relative_error() > b->relative_error();
    });
    modules.resize(kWorst);
  }
  // Experts see what is routed to them; all else sees every token.
  const bool uneven = std::any_of(modules.begin(), modules.end(), [&](const auto* module) {
    return module->tokens() != modules.front()->tokens();
  });
  std::vector<std::vector<std::string>> rows = {
      {"module", "error", "rtn error", "gain", "method", "rotation", "damping"}};
  std::vector<bool> right = {false, true, true, true, false, true, true};
  if (uneven) {
    rows[0].push_back("tokens");
    right.push_back(true);
  }
  rows[0].push_back("fallbacks");
  right.push_back(false);
  for (const v1::ModuleReport* module : modules) {
    const bool gained = module->relative_error() > 0;
    rows.push_back(
        {module->name(), format_number("%.3e", module->relative_error()),
         format_number("%.3e", module->rtn_relative_error()),
         gained ? format_number("%.2fx", module->rtn_relative_error() / module->relative_error())
                : "-",
         module->method(), rotation_text(module->rotation()),
         format_number("%g", module->damping())});
    if (uneven) {
      rows.back().push_back(std::to_string(module->tokens()));
    }
    rows.back().push_back(fallback_text(*module));
  }
  return format_table(rows, right) + note;
}

std::string report_text(const v1::Report& report, bool all, const Console& console) {
  const v1::Job& job = report.job();
  std::string text = module_table(report, all) + "\n";
  text += line("job", job.name() + " " + console.bold(state_name(job.state())));
  text += line("recipe", recipe_text(job.spec()));
  text += line("layers", std::to_string(job.committed_layers()) + " of " +
                             std::to_string(job.layers()) + " committed, " +
                             std::to_string(report.resumed_layers()) + " of them resumed");
  text += line("fallbacks", std::to_string(report.fallbacks()));
  if (report.has_perplexity()) {
    text += line("perplexity", format_number("%.4f", report.perplexity()) + " over " +
                                   std::to_string(report.perplexity_tokens()) + " tokens");
  }
  text += line("time", format_duration(report.seconds()) +
                           (report.phases().empty() ? "" : ": " + phases_text(report)));
  for (const std::string& mode : report.serving_modes()) {
    text += line("engine", mode);
  }
  for (const std::string& warning : job.estimate().warnings()) {
    text += line("warning", warning);
  }
  if (job.state() == v1::JOB_STATE_SUCCEEDED) {
    text += line("checkpoint", console.bold(job.output_path()) + " (" +
                                   format_bytes(report.output_bytes()) + ")");
    text += line("serve", serve_text(job));
  }
  return text;
}

std::string jobs_table(const std::vector<v1::Job>& jobs, double now) {
  std::vector<std::vector<std::string>> rows = {
      {"job", "state", "layers", "done", "left", "age", "owner", "recipe", "output", "cause"}};
  for (const v1::Job& job : jobs) {
    rows.push_back({job.name(), state_name(job.state()),
                    std::to_string(job.committed_layers()) + "/" + std::to_string(job.layers()),
                    percent(job), job.has_seconds_left() ? format_duration(job.seconds_left()) : "",
                    format_duration(now - static_cast<double>(job.create_time().seconds())),
                    job.owner(),
                    cli_name(job.spec().format()) + " " + cli_name(job.spec().method()),
                    job.output_path(), job.cause().reason()});
  }
  return format_table(rows, {false, false, true, true, true, true, false, false, false, false});
}

std::string job_text(const v1::Job& job, const Console& console) {
  // What was only validated is no job.
  std::string text =
      job.name().empty()
          ? line("plan", console.bold(job.problems().empty() ? "can be submitted" : "is refused"))
          : line("job", job.name() + " " + console.bold(state_name(job.state())));
  if (job.has_cause()) {
    text +=
        line("cause", job.cause().message() +
                          (job.cause().reason().empty() ? "" : " (" + job.cause().reason() + ")"));
  }
  text += line("layers", job.name().empty() ? std::to_string(job.layers())
                                            : std::to_string(job.committed_layers()) + " of " +
                                                  std::to_string(job.layers()) + " committed");
  if (job.has_seconds_left()) {
    text += line("left", format_duration(job.seconds_left()) + " at " +
                             format_number("%.0f", job.tokens_per_second()) +
                             " tokens a second and layer");
  }
  text += line("recipe", recipe_text(job.spec()));
  text += line("model", job.spec().model());
  text += line("output", job.output_path().empty() ? job.spec().output() : job.output_path());
  if (job.has_estimate()) {
    text +=
        line("estimate",
             format_bytes(job.estimate().output_bytes()) + " of checkpoint, " +
                 format_bytes(job.estimate().staging_bytes()) + " of staging, " +
                 format_bytes(job.estimate().worker_bytes_per_group()) + " of memory a group, " +
                 std::to_string(job.estimate().calibration_tokens()) + " calibration tokens");
  }
  if (job.name().empty()) {
    text += plan_text(job.estimate());
  }
  if (!time_text(job.create_time()).empty()) {
    text += line("created", time_text(job.create_time()));
    text += line("updated", time_text(job.update_time()));
  }
  for (const v1::Cause& problem : job.problems()) {
    text += line("problem", problem.message());
  }
  for (const std::string& warning : job.estimate().warnings()) {
    text += line("warning", warning);
  }
  return text;
}

}  // namespace rotor::cli
