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

std::string row(const std::string& key, const std::string& value) {
  return html_row({html_cell(key), html_number_cell(value)});
}

std::string error_text(double error) {
  return format_number("%.3e", error);
}

std::string in_short(const ReportFacts& facts) {
  const MeanErrors mean = mean_errors(facts);
  std::string text = row("quantized modules", std::to_string(facts.modules.size()));
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
  return html_table({"", ""}, text);
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
  std::string rows;
  for (size_t i = 0; i < phases.size(); ++i) {
    const v1::PhaseTime& phase = phases[i];
    const std::string share = format_number("%.1f%%", 100.0 * phase.seconds() / sum);
    const std::string colour = "hsl(" + std::to_string(i * 47 % 360) + ",55%,55%)";
    bar += "<i style=\"width:" + share + ";background:" + colour + "\" title=\"" +
           html_escaped(phase.phase()) + "\"></i>";
    const bool is_arithmetic = phase.flops() > 0.0 && phase.seconds() > 0.0;
    rows += html_row(
        {"<td><i class=\"key\" style=\"background:" + colour + "\"></i>" +
             html_escaped(phase.phase()) + "</td>",
         html_number_cell(format_duration(phase.seconds())), html_number_cell(share),
         html_number_cell(
             is_arithmetic ? format_number("%.3g", phase.flops() / phase.seconds() * 1e-12) : "")});
  }
  return bar + "</div>\n" + html_table({"phase", "time", "share", "TFLOP/s"}, rows);
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
  std::string rows;
  for (const v1::ModuleReport* module : order) {
    rows += html_row(
        {html_cell(module->name()), html_number_cell(error_text(module->relative_error())),
         html_number_cell(error_text(module->rtn_relative_error())), html_cell(module->method()),
         html_cell(module->rotation() == 0 ? "none" : std::to_string(module->rotation())),
         html_number_cell(format_number("%g", module->damping())),
         html_number_cell(std::to_string(module->tokens()))});
  }
  return html_table(
      {"module", "error", "rounded to nearest", "method", "rotation", "damping", "tokens"}, rows);
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
  std::string rows;
  for (const auto& [name, kind] : kinds) {
    rows += html_row(
        {html_cell(name), html_number_cell(std::to_string(kind.modules)), html_cell(kind.first)});
  }
  return html_table({"kind", "modules", "the first of them"}, rows);
}

/// How unevenly the tokens of a layer went to its experts.
std::string experts(const ErrorMap& map) {
  std::string rows;
  for (size_t layer = 0; layer < map.layers.size(); ++layer) {
    const std::vector<ErrorCell>& cells = map.cells[layer];
    // The linears of one expert see the same tokens: the first kind stands for all.
    const auto cell = std::find_if(cells.begin(), cells.end(),
                                   [](const ErrorCell& one) { return one.modules > 1; });
    if (cell != cells.end()) {
      rows += html_row({html_number_cell(std::to_string(map.layers[layer])),
                        html_number_cell(std::to_string(cell->modules)),
                        html_number_cell(std::to_string(cell->least_tokens)),
                        html_number_cell(std::to_string(cell->most_tokens))});
    }
  }
  return html_table({"layer", "experts", "fewest tokens", "most tokens"}, rows);
}

std::string settings(const ReportFacts& facts) {
  std::string rows;
  for (const auto& [key, value] : facts.settings) {
    rows += html_row({html_cell(key), html_cell(value)});
  }
  return html_table({"setting", "value"}, rows);
}

constexpr char kMeaning[] =
    "<p>The error of a module is that of its output on the calibration text, squared and relative: "
    "tr((W - Q) H (W - Q)<sup>T</sup>) / tr(W H W<sup>T</sup>), W its weight, Q what is left of "
    "it, H the second moments of its inputs. 0.01 is a tenth of the output's size. &quot;Rounded "
    "to "
    "nearest&quot; is the same without the solver.</p>\n";

}  // namespace

std::string report_page(const ReportFacts& facts) {
  const ErrorMap map = error_map(facts.modules);
  return html_page(facts.name, "",
                   in_short(facts) + html_section("Engines", html_list(facts.serving_modes)) +
                       html_section("Warnings", html_list(facts.warnings)) +
                       html_section("Errors by layer and module", errors(map) + kMeaning) +
                       html_section("The worst modules", worst(facts.modules)) +
                       html_section("Fallbacks", fallbacks(facts.modules)) +
                       html_section("Tokens of the experts", experts(map)) +
                       html_section("Where the time went", time_split(facts.phases)) +
                       html_section("Workers", html_list(facts.workers)) +
                       html_section("Settings", settings(facts)));
}

}  // namespace rotor
