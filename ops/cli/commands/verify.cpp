#include "quant/checkpoint/verify.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "quant/base/status_json.h"
#include "quant/checkpoint/verify_json.h"

namespace rotor::cli {
namespace {

struct VerifyOptions {
  std::string directory;
};

Status invalid_checkpoint(const std::string& directory, const VerifyReport& report) {
  return data_loss(directory + ": " + std::to_string(report.problems.size()) +
                   (report.problems.size() == 1 ? " problem" : " problems"))
      .with_reason(kReasonInvalidCheckpoint);
}

int run_verify(VerifyOptions& options, Console& console) {
  const auto threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const std::unique_ptr<Parallel> parallel = make_thread_pool(threads);
  const Result<VerifyReport> report =
      verify_checkpoint(posix_file_system(), options.directory, *parallel);
  if (!report.ok()) {
    return console.fail(report.status());
  }
  const Status outcome = report->ok() ? Status() : invalid_checkpoint(options.directory, *report);
  if (console.json()) {
    nlohmann::ordered_json json = verify_to_json(*report);
    if (!outcome.ok()) {
      json["error"] = error_json(outcome);
    }
    console.write_json(json);
    return exit_code(outcome);
  }
  for (const VerifyProblem& problem : report->problems) {
    console.out() << problem.tensor << ": " << problem.what << "\n  " << problem.remedy << "\n";
  }
  console.out() << std::flush;
  if (!outcome.ok()) {
    return console.fail(outcome);
  }
  console.out() << options.directory << ": " << console.bold("ok") << ", ";
  if (report->quantized) {
    console.out() << to_string(report->scheme.format) << " " << to_string(report->activations)
                  << ", " << report->modules.size() << " quantized modules, ";
  }
  console.out() << report->tensors.size() << " other tensors\n";
  if (report->quantized) {
    console.out() << "layout " << to_string(report->layout) << ", which serves\n";
  }
  for (const std::string& mode : report->serving_modes) {
    console.out() << "  " << mode << "\n";
  }
  console.out() << std::flush;
  return kExitDone;
}

}  // namespace

void add_verify(CommandSet& set) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App& command =
      add_command(set, "verify", "Read a checkpoint back and check it against the loaders' rules",
                  R"(Examples:
  rotor verify ~/models/llama-nvfp4
  rotor verify ~/models/llama-nvfp4 -o json     digests of every decoded module and other tensor

Exit code 1 means that the checkpoint has problems.)",
                  options, run_verify);
  command.add_option("directory", options->directory, "Checkpoint")->required()->type_name("DIR");
}

}  // namespace rotor::cli
