// The commands that take a job and show it: status, cancel, pause, resume, delete.
#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/follow.h"

namespace rotor::cli {
namespace {

struct JobActionOptions {
  ServiceOptions service;
  std::string job;
};

template <Result<v1::Job> (JobsClient::*method)(const std::string&)>
int run_action(JobActionOptions& options, Console& console) {
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<std::string> name = client.find(options.job);
  if (!name.ok()) {
    return console.fail(name.status());
  }
  const Result<v1::Job> job = (client.*method)(*name);
  if (!job.ok()) {
    return console.fail(job.status());
  }
  return show_job(console, *job);
}

int run_delete(JobActionOptions& options, Console& console) {
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<std::string> name = client.find(options.job);
  if (!name.ok()) {
    return console.fail(name.status());
  }
  if (const Status status = client.remove(*name); !status.ok()) {
    return console.fail(status);
  }
  if (console.json()) {
    console.write_json({{"job", *name}, {"deleted", true}});
  } else {
    console.out() << "deleted " << *name << std::endl;
  }
  return kExitDone;
}

void add_action(CommandSet& set, const std::string& name, const std::string& description,
                int (*run)(JobActionOptions&, Console&)) {
  auto options = std::make_shared<JobActionOptions>();
  CLI::App& command =
      add_command(set, name, description,
                  "Example:\n  rotor " + name + " 7 --coordinator host:7470", options, run);
  add_service_options(command, options->service);
  add_job_argument(command, options->job);
}

}  // namespace

void add_job_actions(CommandSet& set) {
  add_action(set, "status", "Show a job", run_action<&JobsClient::get>);
  add_action(set, "cancel", "Cancel a job", run_action<&JobsClient::cancel>);
  add_action(set, "pause", "Pause a job after the layers under way",
             run_action<&JobsClient::pause>);
  add_action(set, "resume", "Let a job that is paused or has failed go on",
             run_action<&JobsClient::resume>);
  add_action(set, "delete", "Forget a job that has ended; its checkpoint stays", run_delete);
}

}  // namespace rotor::cli
