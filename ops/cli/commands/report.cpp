#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "ops/cli/report_table.h"

namespace rotor::cli {
namespace {

struct ReportOptions {
  ServiceOptions service;
  std::string job;
  bool all = false;
};

int run_report(ReportOptions& options, Console& console) {
  JobsClient client(options.service.coordinator, options.service.timeout_seconds);
  const Result<std::string> name = client.find(options.job);
  if (!name.ok()) {
    return console.fail(name.status());
  }
  const Result<v1::Report> report = client.report(*name);
  if (!report.ok()) {
    return console.fail(report.status());
  }
  if (console.json()) {
    console.write_json(report_json(*report));
  } else {
    console.out() << report_text(*report, options.all, console) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_report(CommandSet& set) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App& command = add_command(set, "report", "Show the errors, times and fallbacks of a job",
                                  R"(Examples:
  rotor report 7 --coordinator host:7470
  rotor report 7 --all
  rotor report 7 -o json)",
                                  options, run_report);
  add_service_options(command, options->service);
  add_job_argument(command, options->job);
  command.add_flag("--all", options->all, "Every module, not only the worst of a long list");
}

}  // namespace rotor::cli
