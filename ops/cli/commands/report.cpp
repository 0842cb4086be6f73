#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "ops/cli/paths.h"
#include "ops/cli/report_source.h"
#include "ops/cli/report_table.h"
#include "proto/pages/report_page.h"

namespace rotor::cli {
namespace {

struct ReportOptions {
  ServiceOptions service;
  std::string job;
  bool all = false;
  std::string html;
  std::string evaluation;
};

int run_page(const ReportOptions& options, Console& console) {
  Result<ReportFacts> facts = facts_of(options.job, options.service);
  if (!facts.ok()) {
    return console.fail(facts.status());
  }
  if (!options.evaluation.empty()) {
    const Status added = add_evaluation_file(options.evaluation, &*facts);
    if (!added.ok()) {
      return console.fail(added);
    }
  }
  return write_page(options.html, report_page(*facts), console);
}

int run_report(ReportOptions& options, Console& console) {
  if (!options.html.empty()) {
    return run_page(options, console);
  }
  if (is_directory(options.job)) {
    return console.fail(invalid_argument(options.job +
                                         " is a directory: give --html FILE for its page; `rotor "
                                         "inspect` shows its errors here")
                            .with_reason("BAD_FLAG"));
  }
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
  rotor report 7 -o json
  rotor report 7 --html report.html
  rotor report ~/models/llama-nvfp4 --html report.html --evaluation eval.json

--html writes one page, of a job or of a checkpoint's directory: settings, errors by layer and
module, fallbacks, time, engines. A checkpoint has the same page beside it (rotor_report.html), which
has no times and no workers.)",
                                  options, run_report);
  add_service_options(command, options->service);
  add_job_argument(command, options->job);
  command.add_flag("--all", options->all, "Every module, not only the worst of a long list");
  CLI::Option* html =
      command.add_option("--html", options->html, "Write the report to FILE as one HTML page");
  html->type_name("FILE");
  command
      .add_option("--evaluation", options->evaluation,
                  "What `rotor eval -o json` wrote: its perplexity, and with --against the "
                  "source's and the divergence, go onto the page")
      ->type_name("FILE")
      ->needs(html);
}

}  // namespace rotor::cli
