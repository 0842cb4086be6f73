#include "proto/pages/report_page.h"

#include <algorithm>
#include <map>

#include "proto/pages/error_map.h"
#include "proto/pages/html.h"
#include "proto/pages/map_table.h"
#include "quant/base/units.h"

namespace rotor {
namespace {

constexpr size_t kWorst = 15;

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : "<h2>" + html_escaped(title) + "</h2>\n" + body;
}

std::string row(const std::string& key, const std::string& value) {
  return "<tr>" + html_cell(key) + html_number_cell(value) + "</tr>\n";
}

std::string error_text(double error) {
  return format_number("%.3e", error);
}

std::string in_short(const ReportFacts& facts) {
  const MeanErrors mean = mean_errors(facts);
  std::string text = html_table_begin({"", ""});
  text += row("quantized modules", std::to_string(facts.modules.size()));
  text += row("mean relative error", error_text(mean.error));
  text += row("the same, rounded to nearest", error_text(mean.rtn_error));
  text += row("modules that fell back", std::to_string(mean.fallbacks));
  if (facts.perplexity) {
    text += row("perplexity over " + std::to_string(facts.perplexity_tokens) + " tokens",
                format_number("%.4f", *facts.perplexity));
  }
  if (facts.source_perplexity) {
    text += row("perplexity of the source", format_number("%.4f", *facts.source_perplexity));
  }
  if (facts.kl) {
    text += row("divergence from the source (KL), nats a token", format_number("%.5f", *facts.kl));
  }
  if (facts.same_top) {
    text += row("tokens whose likeliest successor is the source's",
                format_number("%.2f %%", 100.0 * *facts.same_top));
  }
  if (facts.output_bytes > 0) {
    text += row("checkpoint", format_bytes(facts.output_bytes));
  }
  if (facts.seconds > 0.0) {
    text += row("time", format_duration(facts.seconds));
  }
  return text + html_table_end();
}

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& line : all) {
    text += "<li>" + html_escaped(line) + "</li>\n";
  }
  return text.empty() ? text : "<ul>" + text + "</ul>\n";
}

/// Phases as the parts of a bar, the longest first, and what they are.
std::string time_split(std::vector<v1::PhaseTime> phases) {
  std::stable_sort(phases.begin(), phases.end(),
                   [](const auto& a, const auto& b) { return a.seconds() > b.seconds(); });
  double sum = 0.0;
  for (const v1::PhaseTime& phase : phases) {
    sum += phase.seconds();
  }
  if (sum <= 0.0) {
    return "";
  }
  std::string bar = "<div class=\"bar\">";
  std::string table = html_table_begin({"phase", "time", "share", "TFLOP/s"});
  for (size_t i = 0; i < phases.size(); ++i) {
    const v1::PhaseTime& phase = phases[i];
    const std::string share = format_number("%.1f%%", 100.0 * phase.seconds() / sum);
    const std::string colour = "hsl(" + std::to_string(i * 47 % 360) + ",55%,55%)";
    bar += "<i style=\"width:" + share + ";background:" + colour + "\" title=\"" +
           html_escaped(phase.phase()) + "\"></i>";
    table += "<tr><td><i class=\"key\" style=\"background:" + colour + "\"></i>" +
             html_escaped(phase.phase()) + "</td>" +
             html_number_cell(format_duration(phase.seconds())) + html_number_cell(share) +
             html_number_cell(phase.flops() > 0.0 && phase.seconds() > 0.0
                                  ? format_number("%.3g", phase.flops() / phase.seconds() * 1e-12)
                                  : "") +
             "</tr>\n";
  }
  return bar + "</div>\n" + table + html_table_end();
}

std::string errors(const ErrorMap& map) {
  return map_table(map, [](const ErrorCell& cell, size_t, size_t) {
    const bool many = cell.modules > 1;
    return MapCell{format_number("%.1e", cell.mean), error_colour(cell.mean),
                   many ? "mean of " + std::to_string(cell.modules) + ", worst " +
                              cell.worst->name() + " " + error_text(cell.worst->relative_error())
                        : cell.worst->name() + " " + error_text(cell.mean)};
  });
}

std::string worst(const std::vector<v1::ModuleReport>& modules) {
  std::vector<const v1::ModuleReport*> order;
  for (const v1::ModuleReport& module : modules) {
    order.push_back(&module);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->relative_error() > b->relative_error();
  });
  order.resize(std::min(order.size(), kWorst));
  std::string table = html_table_begin(
      {"module", "error", "rounded to nearest", "method", "rotation", "damping", "tokens"});
  for (const v1::ModuleReport* module : order) {
    table += "<tr>" + html_cell(module->name()) +
             html_number_cell(error_text(module->relative_error())) +
             html_number_cell(error_text(module->rtn_relative_error())) +
             html_cell(module->method()) +
             html_cell(module->rotation() == 0 ? "none" : std::to_string(module->rotation())) +
             html_number_cell(format_number("%g", module->damping())) +
             html_number_cell(std::to_string(module->tokens())) + "</tr>\n";
  }
  return table + html_table_end();
}

std::string fallbacks(const std::vector<v1::ModuleReport>& modules) {
  struct Kind {
    int64_t modules = 0;
    std::string first;
  };
  std::map<std::string, Kind> kinds;
  for (const v1::ModuleReport& module : modules) {
    for (const v1::Fallback& fallback : module.fallbacks()) {
      Kind& kind = kinds[fallback.kind()];
      if (kind.modules++ == 0) {
        kind.first = module.name() + ": " + fallback.detail();
      }
    }
  }
  if (kinds.empty()) {
    return "";
  }
  std::string table = html_table_begin({"kind", "modules", "the first of them"});
  for (const auto& [name, kind] : kinds) {
    table += "<tr>" + html_cell(name) + html_number_cell(std::to_string(kind.modules)) +
             html_cell(kind.first) + "</tr>\n";
  }
  return table + html_table_end();
}

/// How unevenly the tokens of a layer went to its experts.
std::string experts(const ErrorMap& map) {
  std::string table;
  for (size_t layer = 0; layer < map.layers.size(); ++layer) {
    for (size_t kind = 0; kind < map.kinds.size(); ++kind) {
      const ErrorCell& cell = map.cells[layer][kind];
      if (cell.modules > 1) {
        table += "<tr>" + html_number_cell(std::to_string(map.layers[layer])) +
                 html_cell(map.kinds[kind]) + html_number_cell(std::to_string(cell.modules)) +
                 html_number_cell(std::to_string(cell.least_tokens)) +
                 html_number_cell(std::to_string(cell.most_tokens)) + "</tr>\n";
        break;  // those of one expert see the same tokens
      }
    }
  }
  return table.empty() ? ""
                       : html_table_begin({"layer", "of", "experts", "fewest", "most"}) + table +
                             html_table_end();
}

std::string settings(const ReportFacts& facts) {
  std::string table = html_table_begin({"setting", "value"});
  for (const auto& [key, value] : facts.settings) {
    table += "<tr>" + html_cell(key) + html_cell(value) + "</tr>\n";
  }
  return table + html_table_end();
}

constexpr char kMeaning[] =
    "<p>The error of a module is that of its output on the calibration text, squared and relative: "
    "tr((W - Q) H (W - Q)<sup>T</sup>) / tr(W H W<sup>T</sup>), W its weight, Q what is left of "
    "it, "
    "H the second moments of its inputs. 0.01 is a tenth of the output's size. &quot;Rounded to "
    "nearest&quot; is the same without the solver.</p>\n";

}  // namespace

std::string report_page(const ReportFacts& facts) {
  const ErrorMap map = error_map(facts.modules);
  return html_page(facts.name, "",
                   in_short(facts) + section("Engines", lines(facts.serving_modes)) +
                       section("Warnings", lines(facts.warnings)) +
                       section("Errors by layer and module", errors(map) + kMeaning) +
                       section("The worst modules", worst(facts.modules)) +
                       section("Fallbacks", fallbacks(facts.modules)) +
                       section("Tokens of the experts", experts(map)) +
                       section("Where the time went", time_split(facts.phases)) +
                       section("Workers", lines(facts.workers)) +
                       section("Settings", settings(facts)));
}

}  // namespace rotor
