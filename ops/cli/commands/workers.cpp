#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/workers_view.h"

namespace rotor::cli {
namespace {

int run_workers(ServiceOptions& options, Console& console) {
  JobsClient client(options.coordinator, options.timeout_seconds);
  const Result<v1::ListWorkersResponse> workers = client.workers();
  if (!workers.ok()) {
    return console.fail(workers.status());
  }
  if (console.json()) {
    console.write_json(workers_json(*workers));
  } else if (workers->groups().empty()) {
    console.note("no workers are attached");
  } else {
    console.out() << workers_text(*workers) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_workers(CommandSet& set) {
  auto options = std::make_shared<ServiceOptions>();
  CLI::App& command = add_command(set, "workers", "List the worker groups of a coordinator",
                                  R"(Examples:
  rotor workers --coordinator host:7470
  rotor workers -o json

Groups with their hosts, devices, leases and last sign of life; of a group of several ranks each
rank, with the share of its time that it waits for the others.)",
                                  options, run_workers);
  add_service_options(command, *options);
}

}  // namespace rotor::cli
