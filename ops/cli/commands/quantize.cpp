#include "ops/cli/commands/commands.h"
#include "ops/cli/quantize_run.h"
#include "ops/cli/signals.h"

namespace rotor::cli {
namespace {

int run_quantize(QuantizeOptions& options, Console& console) {
  if (const Status status = finish_job_spec(options.job.spec); !status.ok()) {
    return console.fail(status);
  }
  const Result<Programs> programs = find_programs();
  if (!programs.ok()) {
    return console.fail(programs.status());
  }
  const StopSignals signals;
  return quantize(
      options, *programs, [&] { return signals.count(); }, console);
}

}  // namespace

void add_quantize(CommandSet& set) {
  auto options = std::make_shared<QuantizeOptions>();
  CLI::App& command = add_command(set, "quantize", "Quantize a model on this machine, all in one",
                                  R"(Examples:
  rotor quantize ~/models/llama --output ~/models/llama-nvfp4 --calibration calib.txt
  rotor quantize ~/models/llama --output ~/models/llama-mxfp4 --calibration calib.txt \
      --format mxfp4 --activations a4 --ranks 4
  rotor quantize ~/models/llama --output out --calibration calib.jsonl \
      --override '*.down_proj:damping=0.05' --eval-text test.txt -o json

Starts a private coordinator and a local gang of workers under mpirun. After an interruption (exit
code 75) or a crash the same command goes on from the last committed layer. With -o jsonl stdout
gets an object for each event, as of `watch`, and at the end the report.)",
                                  options, run_quantize);
  add_job_options(command, options->job);
  add_local_options(command, options->local);
  command.add_flag("--validate-only", options->validate_only,
                   "Quantize nothing: print the plan, its estimates and every problem found");
  command.add_flag("--all", options->all, "Every module in the table, not only the worst of many")
      ->group("Output");
}

}  // namespace rotor::cli
