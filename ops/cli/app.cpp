#include "ops/cli/app.h"

#include <algorithm>

#include "ops/cli/commands/commands.h"
#include "ops/cli/did_you_mean.h"
#include "ops/cli/exit_code.h"

namespace rotor::cli {
namespace {

constexpr char kDescription[] =
    "Quantizes large language models to 4-bit microscaling formats (NVFP4, MXFP4, INT4) with "
    "MR-GPTQ.";

constexpr char kExamples[] =
    R"(Examples:
  rotor quantize ~/models/llama --output ~/models/llama-nvfp4 --calibration calib.txt
  rotor submit /models/llama --output /models/llama-nvfp4 --calibration /data/calib.txt \
      --coordinator host:7470 --wait
  rotor eval ~/models/llama-nvfp4 --text test.txt

Exit codes: 0 done, 1 the job failed, 2 wrong usage or invalid input, 69 coordinator out of reach,
75 interrupted but resumable, 78 wrong configuration.
`rotor COMMAND --help` tells more.)";

/// The format that was asked for, known even where the rest of the line cannot be parsed.
OutputFormat requested_format(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const std::string next = i + 1 < arguments.size() ? arguments[i + 1] : "";
    const bool names_format = argument == "-o" || argument == "--output-format";
    if (argument == "--json" || argument == "-ojson" || argument == "--output-format=json" ||
        (names_format && next == "json")) {
      return OutputFormat::kJson;
    }
    if (argument == "-ojsonl" || argument == "--output-format=jsonl" ||
        (names_format && next == "jsonl")) {
      return OutputFormat::kJsonLines;
    }
  }
  return OutputFormat::kHuman;
}

std::string chosen_command(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? "rotor" : "rotor " + chosen.front()->get_name();
}

}  // namespace

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const Terminal& terminal) {
  CLI::App app(kDescription, "rotor");
  app.set_version_flag("--version", "rotor " ROTOR_VERSION);
  app.footer(kExamples);
  app.require_subcommand(1);
  OutputOptions output;
  add_output_options(app, output);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "",
                 "TOML file with a section of options for each command, as [submit]")
      ->envname("ROTOR_CONFIG");
  CommandSet set{app, output, {}};
  add_quantize(set);
  add_prepare_calibration(set);
  add_submit(set);
  add_jobs(set);
  add_job_actions(set);
  add_watch(set);
  add_report(set);
  add_compare(set);
  add_workers(set);
  add_analyze(set);
  add_eval(set);
  add_verify(set);
  add_inspect(set);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error, out, err);
      return kExitDone;
    }
    Console console(out, err, requested_format(arguments), terminal);
    const std::string meant = did_you_mean(app);
    return console.fail(
        invalid_argument(error.what() +
                         std::string(meant.empty() ? "" : "; did you mean '" + meant + "'?"))
            .with_reason(kReasonUsage)
            .with_detail("help", chosen_command(app) + " --help"));
  }
  Console console(out, err, output.format, terminal);
  return set.action(console);
}

}  // namespace rotor::cli
