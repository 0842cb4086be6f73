#include "quant/checkpoint/inspect.h"

#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/inspect_view.h"

namespace rotor::cli {
namespace {

struct InspectOptions {
  std::string directory;
  bool all = false;
};

int run_inspect(InspectOptions& options, Console& console) {
  const Result<InspectReport> report = inspect_checkpoint(posix_file_system(), options.directory);
  if (!report.ok()) {
    return console.fail(report.status());
  }
  if (console.json()) {
    console.write_json(inspect_json(*report));
  } else {
    console.out() << inspect_text(*report, options.all) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_inspect(CommandSet& set) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App& command =
      add_command(set, "inspect", "Show what is in a checkpoint: tensors, formats, sizes, errors",
                  R"(Examples:
  rotor inspect ~/models/llama-nvfp4
  rotor inspect ~/models/llama-nvfp4 --all
  rotor inspect ~/models/llama -o json)",
                  options, run_inspect);
  command.add_option("directory", options->directory, "Checkpoint")->required()->type_name("DIR");
  command.add_flag("--all", options->all, "Every tensor, and every module of the error table");
}

}  // namespace rotor::cli
