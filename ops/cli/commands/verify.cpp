#include "quant/checkpoint/verify.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/value_or_throw.h"
#include "quant/base/status_json.h"
#include "quant/checkpoint/verify_json.h"
#include "quant/engines/serving.h"

namespace rotor::cli {
namespace {

struct VerifyOptions {
  std::string directory;
  std::vector<ServeTarget> targets;
};

/// The first target that does not run the checkpoint.
Status check_targets(const VerifyOptions& options, const VerifyReport& report) {
  if (!options.targets.empty() && !report.quantized) {
    return invalid_argument(options.directory +
                            " is not quantized, and --serve-on speaks of "
                            "quantized checkpoints: leave it out")
        .with_reason(kReasonUsage);
  }
  for (const ServeTarget& target : options.targets) {
    if (const Status status = check_target(report.served, target); !status.ok()) {
      return data_loss(options.directory + ": " + status.message())
          .with_reason(status.reason())
          .with_detail("target", to_string(target));
    }
  }
  return {};
}

/// A checkpoint that some engine would load and get wrong is not called ok.
std::string headline(const VerifyReport& report, const Console& console) {
  if (!report.quantized) {
    return console.bold("ok");
  }
  if (engines_that_run(report.served).empty()) {
    return "sound, but " + console.bold("no engine is known to run it");
  }
  return loads_wrong(report.served) ? "sound, but " + console.bold("not for every engine")
                                    : console.bold("ok");
}

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
  const Status outcome = report->ok() ? check_targets(options, *report)
                                      : invalid_checkpoint(options.directory, *report);
  if (console.json()) {
    nlohmann::ordered_json json = verify_to_json(*report);
    if (!outcome.ok()) {
      json["ok"] = false;
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
  console.out() << options.directory << ": " << headline(*report, console) << ", ";
  if (report->quantized) {
    console.out() << to_string(report->scheme.format) << " " << to_string(report->activations)
                  << ", " << report->modules.size() << " quantized modules, ";
  }
  console.out() << report->tensors.size() << " other tensors\n";
  if (report->quantized) {
    console.out() << "layout " << to_string(report->layout) << ", which engines take so:\n";
    for (const std::string& mode : serving_lines(report->served)) {
      console.out() << "  " << mode << "\n";
    }
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
  rotor verify ~/models/llama-nvfp4 --serve-on vllm,tp=2,gpu=hopper
  rotor verify ~/models/llama-nvfp4 -o json     digests of every decoded module and other tensor

Exit code 1 means that the checkpoint has problems, or that a target would not run it.)",
                  options, run_verify);
  command.add_option("directory", options->directory, "Checkpoint")->required()->type_name("DIR");
  command
      .add_option_function<std::vector<std::string>>(
          "--serve-on",
          [options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              options->targets.push_back(value_or_throw("--serve-on", parse_serve_target(text)));
            }
          },
          "What is to run it: vllm, sglang, tensorrt-llm or transformers; may be given again")
      ->type_name("ENGINE[,tp=N][,gpu=ampere|hopper|blackwell]")
      ->allow_extra_args(false);
}

}  // namespace rotor::cli
