#include <filesystem>
#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/prepare_calibration.h"

namespace rotor::cli {
namespace {

struct PrepareOptions {
  std::vector<std::string> calibration;
  std::string output;
  std::string mode = "packed";
  CalibrationSettings settings;
};

int run_prepare(PrepareOptions& options, Console& console) {
  CalibrationSettings& settings = options.settings;
  settings.output = std::filesystem::absolute(options.output);
  settings.source.mode =
      options.mode == "document" ? CalibrationMode::kDocument : CalibrationMode::kPacked;
  for (const std::string& text : options.calibration) {
    settings.sources.push_back(parse_calibration_source(text));
  }
  const Result<PreparedCalibration> prepared = prepare_calibration(settings);
  if (!prepared.ok()) {
    return console.fail(prepared.status());
  }
  if (console.json()) {
    console.write_json({{"output", settings.output.string()},
                        {"windows", prepared->windows},
                        {"seq_len", settings.source.seq_len},
                        {"digest", prepared->digest}});
    return 0;
  }
  console.out() << settings.output.string() << ": " << prepared->windows << " windows of "
                << settings.source.seq_len << " tokens, digest " << prepared->digest << "\n"
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
  TextSource& source = options->settings.source;
  command.add_option("MODEL", options->settings.model, "Directory of the model")->required();
  command
      .add_option("--calibration", options->calibration,
                  "Text, .jsonl, .json, .parquet or .arrow files, or folders of the datasets "
                  "library; FILE:WEIGHT for a share of the windows")
      ->required();
  command.add_option("--output", options->output, "File of JSON lines to write")->required();
  command.add_option("--sequences", source.sequences, "Windows")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--seq-len", source.seq_len, "Tokens a window")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command.add_option("--seed", source.seed, "Windows at random instead of the first; 0: the first")
      ->capture_default_str();
  command.add_option("--calibration-mode", options->mode, "Documents packed, or each a window")
      ->check(CLI::IsMember({"packed", "document"}))
      ->capture_default_str();
}

}  // namespace rotor::cli
