#include <nlohmann/json.hpp>
#include <random>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/follow.h"
#include "ops/cli/job_json.h"
#include "ops/cli/report_table.h"

namespace rotor::cli {
namespace {

struct SubmitOptions {
  JobOptions job;
  ServiceOptions service;
  std::string request_id;  // empty: a new one
  bool validate_only = false;
  bool wait = false;
  bool all = false;
};

std::string new_request_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device device;
  std::uniform_int_distribution<size_t> digit(0, 15);
  std::string id = "rotor-";
  for (int i = 0; i < 32; ++i) {
    id += kHex[digit(device)];
  }
  return id;
}

int run_submit(SubmitOptions& options, Console& console) {
  if (const Status status = finish_job_spec(options.job.spec); !status.ok()) {
    return console.fail(status);
  }
  v1::SubmitJobRequest request;
  request.set_validate_only(options.validate_only);
  *request.mutable_spec() = options.job.spec;
  if (!options.validate_only) {
    request.set_request_id(options.request_id.empty() ? new_request_id() : options.request_id);
  }
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<v1::Job> job = client.submit(request);
  if (!job.ok()) {
    return console.fail(job.status());
  }
  if (options.validate_only) {
    return show_plan(console, *job);
  }
  if (!options.wait) {
    return show_job(console, *job);
  }
  console.note("submitted " + job->name());
  const Status status = wait_for_job(options.service.coordinator, options.service.timeout_seconds,
                                     console, *job, job->revision() + 1);
  if (!status.ok()) {
    return console.fail(status);
  }
  const Result<v1::Report> report = client.report(job->name());
  return report.ok() ? finish_job(console, *report, options.all) : console.fail(report.status());
}

}  // namespace

void add_submit(CommandSet& set) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App& command = add_command(set, "submit", "Submit a job to a running coordinator",
                                  R"(Examples:
  rotor submit /models/llama --output /models/llama-nvfp4 --calibration /data/calib.txt --wait
  rotor submit /models/llama --output /out/llama-int4 --calibration /data/calib.txt \
      --format int4 --validate-only -o json)",
                                  options, run_submit);
  add_job_options(command, options->job);
  add_service_options(command, options->service);
  command
      .add_option("--request-id", options->request_id,
                  "Submitting the same job twice under one id makes one job (default: a new id)")
      ->type_name("ID");
  command.add_flag("--validate-only", options->validate_only,
                   "Store nothing: print the plan, its estimates and every problem found");
  command.add_flag("--wait", options->wait,
                   "Show progress until the job has ended, then its report");
  command.add_flag("--all", options->all, "With --wait: every module in the table");
}

}  // namespace rotor::cli
