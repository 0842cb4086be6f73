#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/follow.h"
#include "ops/cli/job_json.h"
#include "ops/cli/report_table.h"
#include "quant/base/status_json.h"

namespace rotor::cli {
namespace {

struct WatchOptions {
  ServiceOptions service;
  std::string job;
  int64_t from = 0;
};

int run_watch(WatchOptions& options, Console& console) {
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<std::string> name = client.find(options.job);
  if (!name.ok()) {
    return console.fail(name.status());
  }
  Result<v1::Job> job = client.get(*name);
  if (!job.ok()) {
    return console.fail(job.status());
  }
  const Status status = wait_for_job(options.service.coordinator, options.service.timeout_seconds,
                                     console, *job, options.from);
  if (!status.ok()) {
    return console.fail(status);
  }
  job = client.get(job->name());
  if (!job.ok()) {
    return console.fail(job.status());
  }
  const Status outcome = job_outcome(*job);
  if (console.json()) {
    Json json = job_json(*job);
    if (!outcome.ok()) {
      json["error"] = error_json(outcome);
    }
    console.write_json(json);
    return exit_code(outcome);
  }
  console.out() << job_text(*job, console) << std::flush;
  return outcome.ok() ? kExitDone : console.fail(outcome);
}

}  // namespace

void add_watch(CommandSet& set) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App& command = add_command(set, "watch", "Follow a job's events until it has ended",
                                  R"(Examples:
  rotor watch 7 --coordinator host:7470
  rotor watch 7 --from 120 -o jsonl     an object a line for each event from revision 120 on,
                                        then the job's

Events go to stderr; with -o jsonl they go to stdout. With -o json stdout gets the job, once it
has ended. The exit code is 0 for a job that succeeded and 1 for one that failed or was cancelled.)",
                                  options, run_watch);
  add_service_options(command, options->service);
  add_job_argument(command, options->job);
  command.add_option("--from", options->from, "First revision wanted (default: the job's first)")
      ->check(CLI::Range(int64_t{0}, INT64_MAX))
      ->type_name("REVISION");
}

}  // namespace rotor::cli
