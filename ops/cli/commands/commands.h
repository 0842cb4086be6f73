// The commands of `rotor`, each in a file of its own: its options, its help, what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "ops/cli/console.h"
#include "ops/cli/options.h"

namespace rotor::cli {

/// What the chosen command does once everything is parsed; returns the exit code.
using Action = std::function<int(Console&)>;

/// Where commands add themselves.
struct CommandSet {
  CLI::App& app;
  OutputOptions& output;
  Action action;  // of the command that was given
};

/// Adds a command whose values live in `options`; `run` is called with them. `examples` ends its
/// help.
template <typename Options>
CLI::App& add_command(CommandSet& set, const std::string& name, const std::string& description,
                      const std::string& examples, std::shared_ptr<Options> options,
                      int (*run)(Options&, Console&)) {
  CLI::App* command = set.app.add_subcommand(name, description);
  command->footer(examples);
  add_output_options(*command, set.output);
  command->callback([&set, options, run] {
    set.action = [options, run](Console& console) { return run(*options, console); };
  });
  return *command;
}

void add_quantize(CommandSet& set);
void add_prepare_calibration(CommandSet& set);
void add_submit(CommandSet& set);
void add_jobs(CommandSet& set);
/// status, cancel, pause, resume, delete
void add_job_actions(CommandSet& set);
void add_watch(CommandSet& set);
void add_report(CommandSet& set);
void add_compare(CommandSet& set);
void add_workers(CommandSet& set);
void add_analyze(CommandSet& set);
void add_eval(CommandSet& set);
void add_verify(CommandSet& set);
void add_inspect(CommandSet& set);

}  // namespace rotor::cli
