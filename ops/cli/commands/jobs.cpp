#include <ctime>
#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "ops/cli/report_table.h"
#include "proto/convert.h"

namespace rotor::cli {
namespace {

struct JobsOptions {
  ServiceOptions service;
  std::vector<std::string> states;
  int limit = 50;
};

std::vector<v1::JobState> all_states() {
  std::vector<v1::JobState> states;
  for (int i = v1::JOB_STATE_PENDING; i <= v1::JobState_MAX; ++i) {
    states.push_back(static_cast<v1::JobState>(i));
  }
  return states;
}

std::vector<std::string> state_names() {
  std::vector<std::string> names;
  for (const v1::JobState state : all_states()) {
    names.push_back(state_name(state));
  }
  return names;
}

int run_jobs(JobsOptions& options, Console& console) {
  std::vector<v1::JobState> states;
  for (const v1::JobState state : all_states()) {
    if (std::find(options.states.begin(), options.states.end(), state_name(state)) !=
        options.states.end()) {
      states.push_back(state);
    }
  }
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<std::vector<v1::Job>> jobs = client.list(states, options.limit);
  if (!jobs.ok()) {
    return console.fail(jobs.status());
  }
  if (console.json()) {
    Json list = Json::array();
    for (const v1::Job& job : *jobs) {
      list.push_back(job_json(job));
    }
    console.write_json({{"jobs", list}});
  } else if (jobs->empty()) {
    console.note("no jobs");
  } else {
    console.out() << jobs_table(*jobs, static_cast<double>(std::time(nullptr))) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_jobs(CommandSet& set) {
  auto options = std::make_shared<JobsOptions>();
  CLI::App& command = add_command(set, "jobs", "List the jobs of a coordinator, newest first",
                                  R"(Examples:
  rotor jobs --coordinator host:7470
  rotor jobs --state RUNNING --state PAUSED -o json)",
                                  options, run_jobs);
  add_service_options(command, options->service);
  command.add_option("--state", options->states, "Only jobs in this state; may be given again")
      ->transform(CLI::IsMember(state_names(), CLI::ignore_case))
      ->type_name(CLI::detail::join(state_names(), "|"));
  command.add_option("--limit", options->limit, "Jobs at most")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace rotor::cli
