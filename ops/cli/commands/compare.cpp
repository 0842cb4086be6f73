#include <nlohmann/json.hpp>

#include "ops/cli/commands/commands.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/report_source.h"
#include "ops/cli/report_table.h"
#include "proto/pages/comparison.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

constexpr size_t kMostChanged = 10;

struct CompareOptions {
  ServiceOptions service;
  std::string a;
  std::string b;
  std::string html;
};

std::string comparison_text(const Comparison& comparison) {
  std::vector<std::vector<std::string>> figures = {{"", comparison.a.name, comparison.b.name}};
  for (const auto& [what, a, b] : side_by_side(comparison)) {
    figures.push_back({what, a, b});
  }
  std::string text = format_table(figures, {false, true, true});
  std::vector<std::vector<std::string>> settings = {{"setting", "a", "b"}};
  for (const ChangedSetting& setting : comparison.settings) {
    settings.push_back({setting.name, setting.a, setting.b});
  }
  if (settings.size() > 1) {
    text += "\n" + format_table(settings, {false, false, false});
  }
  std::vector<std::vector<std::string>> modules = {{"module", "error a", "error b", "b / a"}};
  for (const ChangedModule& module : most_changed(comparison, kMostChanged)) {
    modules.push_back({module.name, format_number("%.3e", module.a),
                       format_number("%.3e", module.b),
                       module.a > 0.0 ? format_number("%.2f", module.b / module.a) : "-"});
  }
  if (modules.size() > 1) {
    text += "\n" + format_table(modules, {false, true, true, true});
  }
  for (const auto& [side, names] :
       {std::pair("a", &comparison.only_a), std::pair("b", &comparison.only_b)}) {
    if (!names->empty()) {
      text += "\nquantized in " + std::string(side) + " alone: " + std::to_string(names->size()) +
              " modules, the first of them " + names->front() + "\n";
    }
  }
  return text;
}

int run_compare(CompareOptions& options, Console& console) {
  Result<ReportFacts> a = facts_of(options.a, options.service);
  if (!a.ok()) {
    return console.fail(a.status());
  }
  Result<ReportFacts> b = facts_of(options.b, options.service);
  if (!b.ok()) {
    return console.fail(b.status());
  }
  const Comparison comparison = compare(std::move(*a), std::move(*b));
  if (!options.html.empty()) {
    return write_page(options.html, comparison_page(comparison), console);
  }
  if (console.json()) {
    console.write_json(comparison_json(comparison));
  } else {
    console.out() << comparison_text(comparison) << std::flush;
  }
  return kExitDone;
}

}  // namespace

void add_compare(CommandSet& set) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App& command = add_command(
      set, "compare", "Compare two checkpoints or jobs: errors, perplexity, size, settings",
      R"(Examples:
  rotor compare ~/models/llama-nvfp4 ~/models/llama-mxfp4
  rotor compare 7 8 --coordinator host:7470
  rotor compare ~/models/old ~/models/new --html difference.html)",
      options, run_compare);
  add_service_options(command, options->service);
  command.add_option("a", options->a, "A checkpoint's directory, or a job")
      ->required()
      ->type_name("DIR|JOB");
  command.add_option("b", options->b, "What it is compared with")->required()->type_name("DIR|JOB");
  command.add_option("--html", options->html, "Write the comparison to FILE as one HTML page")
      ->type_name("FILE");
}

}  // namespace rotor::cli
