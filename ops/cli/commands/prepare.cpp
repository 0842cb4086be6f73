#include <filesystem>
#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/prepare_calibration.h"
#include "ops/cli/signals.h"

namespace rotor::cli {
namespace {

struct PrepareOptions {
  JobOptions job;
  std::string model;
  std::string output;
};

int run_prepare(PrepareOptions& options, Console& console) {
  options.job.spec.set_model(options.model);
  const Result<CalibrationSettings> settings =
      calibration_settings(options.job.spec, std::filesystem::absolute(options.output));
  if (!settings.ok()) {
    return console.fail(settings.status());
  }
  const StopSignals signals;
  const Result<PreparedCalibration> prepared =
      prepare_calibration(*settings, [&] { return signals.stopped(); });
  if (!prepared.ok()) {
    return console.fail(prepared.status());
  }
  if (console.json()) {
    console.write_json({{"output", settings->output.string()},
                        {"windows", prepared->windows},
                        {"seq_len", settings->source.seq_len},
                        {"digest", prepared->digest}});
    return 0;
  }
  console.out() << settings->output.string() << ": " << prepared->windows << " windows of "
                << settings->source.seq_len << " tokens, digest " << prepared->digest << "\n"
                << std::flush;
  return 0;
}

}  // namespace

void add_prepare_calibration(CommandSet& set) {
  auto options = std::make_shared<PrepareOptions>();
  CLI::App& command = add_command(set, "prepare-calibration",
                                  "Make token ids of chats, Parquet files and several data sets",
                                  R"(Examples:
  rotor prepare-calibration ~/models/llama --calibration chats.jsonl --output ids.jsonl
  rotor prepare-calibration ~/models/llama --calibration chats.parquet:0.7 web.txt:0.3 \
      --sequences 256 --seq-len 2048 --output ids.jsonl

For a coordinator: `rotor submit --calibration ids.jsonl` with the same --sequences and --seq-len
takes these windows as they are; the digest is the report's calibration_digest, where there is no
evaluation. `rotor quantize` needs no such step.)",
                                  options, run_prepare);
  command.add_option("MODEL", options->model, "Directory of the model")->required();
  command.add_option("--output", options->output, "File of JSON lines to write")->required();
  add_calibration_options(command, options->job);
  command.get_option("--calibration")->required();
}

}  // namespace rotor::cli
