#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "ops/cli/paths.h"
#include "ops/cli/worker_answer.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

std::vector<std::string> eval_arguments(const EvalOptions& options) {
  std::vector<std::string> argv = {"eval", options.directory, "--device", options.device};
  for (const std::string& text : options.texts) {
    argv.insert(argv.end(), {"--text", text});
  }
  if (options.sequences > 0) {
    argv.insert(argv.end(), {"--sequences", std::to_string(options.sequences)});
  }
  if (options.seq_len > 0) {
    argv.insert(argv.end(), {"--seq-len", std::to_string(options.seq_len)});
  }
  if (!options.losses.empty()) {
    argv.insert(argv.end(), {"--losses", options.losses});
  }
  if (!options.against.empty()) {
    argv.insert(argv.end(), {"--against", options.against});
  }
  if (!options.divergences.empty()) {
    argv.insert(argv.end(), {"--divergences", options.divergences});
  }
  if (options.threads > 0) {
    argv.insert(argv.end(), {"--threads", std::to_string(options.threads)});
  }
  return argv;
}

int run_eval(EvalOptions& options, Console& console) {
  for (const auto& [file, option] :
       {std::pair(options.losses, "--losses"), std::pair(options.divergences, "--divergences")}) {
    const Status status = file.empty() ? Status() : check_writable(file, option);
    if (!status.ok()) {
      return console.fail(status);
    }
  }
  const WorkerAnswer answer = ask_worker(eval_arguments(options), "the evaluation", "perplexity");
  if (!answer.status.ok()) {
    const int code = console.fail(answer.status);
    return answer.exit_code.value_or(code);
  }
  const Json& result = answer.result;
  if (console.json()) {
    console.write_json(result);
    return kExitDone;
  }
  console.out() << "perplexity " << console.bold(format_number("%.4f", result["perplexity"]))
                << " over " << result.value("tokens", int64_t{0}) << " tokens in "
                << result.value("sequences", int64_t{0}) << " windows, "
                << format_duration(result.value("seconds", 0.0)) << std::endl;
  if (result.contains("kl")) {
    console.out() << "source     " << format_number("%.4f", result["source_perplexity"])
                  << std::endl
                  << "divergence " << console.bold(format_number("%.5f", result["kl"]))
                  << " nats a token from the source (KL), the same top token in "
                  << format_number("%.2f", 100.0 * result.value("same_top", 0.0)) << " %"
                  << std::endl;
  }
  return kExitDone;
}

}  // namespace

void add_eval(CommandSet& set) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App& command =
      add_command(set, "eval", "Measure the perplexity of an original or a quantized checkpoint",
                  R"(Examples:
  rotor eval ~/models/llama-nvfp4 --text test.txt
  rotor eval ~/models/llama --text test.txt --sequences 100 --seq-len 1024 -o json
  rotor eval ~/models/llama-nvfp4 --text test.txt --against ~/models/llama

The text's tokens are cut into windows that do not overlap; what is left over is dropped. A
checkpoint quantized with a4 is evaluated with its activations rotated and quantized too.

--against SOURCE runs the model that the checkpoint was made from beside it: the divergence between
their predictions tells what quantization changed, where a perplexity may by chance get better.)",
                  options, run_eval);
  add_eval_options(command, *options);
}

}  // namespace rotor::cli
