#include <filesystem>
#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/executables.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/paths.h"
#include "ops/cli/prepare_calibration.h"
#include "ops/cli/quantize_line.h"
#include "ops/cli/quantize_run.h"
#include "ops/cli/report_source.h"
#include "ops/cli/report_table.h"
#include "ops/cli/signals.h"
#include "ops/cli/temporary_folder.h"
#include "ops/cli/worker_answer.h"
#include "proto/json.h"
#include "proto/pages/analysis.h"
#include "proto/spec_fields.h"

namespace rotor::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWorst = 10;

struct AnalyzeOptions {
  JobOptions job;
  LocalOptions local;  // device and threads
  std::string output;
  int64_t windows = 16;
  std::vector<int> layers;
  bool no_timing = false;
  std::string html;
};

/// Where the checkpoint would go, unless the user says: beside nothing that is there.
std::string output_for(const AnalyzeOptions& options, const std::string& format) {
  if (!options.output.empty()) {
    return options.output;
  }
  const fs::path model = fs::absolute(options.job.spec.model()).lexically_normal();
  const fs::path name = model.has_filename() ? model.filename() : model.parent_path().filename();
  return (fs::current_path() / (name.string() + "-" + format)).string();
}

std::vector<std::string> worker_arguments(const AnalyzeOptions& options, const fs::path& windows,
                                          int64_t sequences, int64_t seq_len) {
  std::vector<std::string> argv = {
      "analyze",     options.job.spec.model(),
      "--windows",   windows.string(),
      "--sequences", std::to_string(std::min(options.windows, sequences)),
      "--seq-len",   std::to_string(seq_len),
      "--device",    options.local.device};
  for (const int layer : options.layers) {
    argv.insert(argv.end(), {"--layers", std::to_string(layer)});
  }
  if (options.local.threads > 0) {
    argv.insert(argv.end(), {"--threads", std::to_string(options.local.threads)});
  }
  if (options.no_timing) {
    argv.emplace_back("--no-timing");
  }
  return argv;
}

/// At the pace of the layer that was timed, all layers alike.
void add_seconds(const Json& analysis, v1::Estimate* estimate) {
  if (!analysis.contains("layer_time")) {
    return;
  }
  const Json& time = analysis["layer_time"];
  const double tokens =
      static_cast<double>(estimate->calibration_tokens()) / time.at("tokens").get<double>();
  const double layer =
      time.at("by_token_seconds").get<double>() * tokens + time.at("fixed_seconds").get<double>();
  estimate->set_seconds(layer * analysis.at("model_layers").get<double>());
}

/// The job that a recommendation means, without what only its plan needs.
Result<v1::JobSpec> recommended_spec(const AnalyzeOptions& options, const Json& recommendation) {
  const Json& best = recommendation.at("candidates").at(0);
  v1::JobSpec spec = options.job.spec;
  spec.set_output(output_for(options, best.at("format")));
  for (const auto& [path, value] : {std::pair("format", best.at("format")),
                                    std::pair("activations", recommendation.at("activations"))}) {
    ROTOR_RETURN_IF_ERROR(set_field(&spec, setting(path), value.get<std::string>()));
  }
  spec.set_rotation(best.at("rotation").get<int32_t>());
  spec.set_merged_rotation(0);
  ROTOR_RETURN_IF_ERROR(finish_job_spec(spec));
  return spec;
}

/// Adds to each recommendation the line that does it, and what a coordinator says of the job.
Status add_jobs(const AnalyzeOptions& options, const TemporaryFolder& folder,
                const fs::path& windows, const StopSignals& signals, Console& console,
                Json* analysis) {
  Programs programs;
  ROTOR_ASSIGN_OR_RETURN(programs.coordinator, find_sibling("rotor-coordinator"));
  for (Json& recommendation : (*analysis)["recommendations"]) {
    if (recommendation.at("candidates").empty()) {
      continue;
    }
    QuantizeOptions job;
    ROTOR_ASSIGN_OR_RETURN(job.job.spec, recommended_spec(options, recommendation));
    recommendation["command"] = quantize_line(job.job.spec);
    v1::Calibration& calibration = *job.job.spec.mutable_calibration();
    calibration.clear_files();
    calibration.add_files(windows.string());
    calibration.set_seed(0);  // they are chosen
    job.local.state_dir = (folder.path() / "state").string();
    ROTOR_ASSIGN_OR_RETURN(v1::Job plan,
                           plan_job(
                               job, programs, [&] { return signals.count(); }, console));
    if (plan.has_estimate()) {
      add_seconds(*analysis, plan.mutable_estimate());
      recommendation["estimate"] = message_json(plan.estimate());
    }
    for (const v1::Cause& problem : plan.problems()) {
      recommendation["problems"].push_back(cause_json(problem));
    }
  }
  return {};
}

std::string analysis_text(const Json& analysis) {
  std::string text = analysis_title(analysis) + "\n";
  for (const AnalysisTable& table : analysis_tables(analysis, kWorst)) {
    std::vector<std::vector<std::string>> rows = {table.columns};
    rows.insert(rows.end(), table.rows.begin(), table.rows.end());
    if (rows.size() > 1) {
      text += "\n" + table.title + "\n" + (table.note.empty() ? "" : table.note + "\n") +
              format_table(rows, table.numbers);
    }
    for (const std::string& line : table.lines) {
      text += line + "\n";
    }
  }
  return text;
}

int run_analyze(AnalyzeOptions& options, Console& console) {
  v1::JobSpec& spec = options.job.spec;
  spec.set_output(output_for(options, "nvfp4"));
  if (const Status status = finish_job_spec(spec); !status.ok()) {
    return console.fail(status);
  }
  if (!options.html.empty()) {
    if (const Status status = check_writable(options.html, "--html"); !status.ok()) {
      return console.fail(status);
    }
  }
  const Result<TemporaryFolder> folder = TemporaryFolder::make();
  if (!folder.ok()) {
    return console.fail(folder.status());
  }
  const StopSignals signals;
  const fs::path windows = folder->path() / "windows.jsonl";
  const Result<CalibrationSettings> settings = calibration_settings(spec, windows);
  if (!settings.ok()) {
    return console.fail(settings.status());
  }
  const Result<PreparedCalibration> prepared =
      prepare_calibration(*settings, [&] { return signals.stopped(); });
  if (!prepared.ok()) {
    return console.fail(prepared.status());
  }
  WorkerAnswer answer =
      ask_worker(worker_arguments(options, windows, prepared->windows, settings->source.seq_len),
                 "the analysis", "recommendations");
  if (signals.stopped()) {
    return console.fail(cancelled("interrupted").with_reason(kReasonInterrupted));
  }
  if (!answer.status.ok()) {
    const int code = console.fail(answer.status);
    return answer.exit_code.value_or(code);
  }
  Json analysis = {{"model", spec.model()}};
  analysis.update(answer.result);
  if (const Status status = add_jobs(options, *folder, windows, signals, console, &analysis);
      !status.ok()) {
    return console.fail(status);
  }
  if (!options.html.empty()) {
    return write_page(options.html, analysis_page(analysis), console);
  }
  if (console.json()) {
    console.write_json(analysis);
  } else {
    console.out() << analysis_text(analysis) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_analyze(CommandSet& set) {
  auto options = std::make_shared<AnalyzeOptions>();
  CLI::App& command = add_command(
      set, "analyze", "Tell what suits a model, and what its job will take, before it is quantized",
      R"(Examples:
  rotor analyze ~/models/llama --calibration calib.txt
  rotor analyze ~/models/llama --calibration chats.jsonl --layers 0,15,31 -o json
  rotor analyze ~/models/llama --calibration calib.txt --html analysis.html

Measures on the weights and on the calibration data's activations what each format and rotation
would lose, says which of them the figures speak for and the `rotor quantize` line that does it, and
estimates time, memory and disk of that job. --calibration, --sequences, --seq-len, --seed are the
job's; the first --windows of its windows are looked at. Time is measured by quantizing one layer,
which takes as long as it says; --no-timing leaves that out.)",
      options, run_analyze);
  command
      .add_option_function<std::string>(
          "model", [spec = &options->job.spec](const std::string& path) { spec->set_model(path); },
          "Directory of the model (config.json, *.safetensors)")
      ->required()
      ->type_name("MODEL");
  add_calibration_options(command, options->job);
  command.get_option("--calibration")->required();
  command.add_option("--windows", options->windows, "Windows of the calibration data to look at")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40).description(""))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--layers", options->layers, "Layers to look at, as 0,8,16 (default: all)")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N,...");
  command.add_flag("--no-timing", options->no_timing,
                   "Do not quantize a layer to estimate the time of all");
  command
      .add_option("--output", options->output,
                  "Where the checkpoint would go (default: MODEL-FORMAT in this directory)")
      ->type_name("DIR");
  command.add_option("--html", options->html, "Write the analysis to FILE as one HTML page")
      ->type_name("FILE");
  command.add_option("--device", options->local.device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}).description(""))
      ->type_name("auto|cpu|cuda")
      ->capture_default_str();
  command.add_option("--threads", options->local.threads, "Threads (default: all cores)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
}

}  // namespace rotor::cli
