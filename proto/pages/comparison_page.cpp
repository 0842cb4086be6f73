#include <algorithm>
#include <cmath>
#include <map>

#include "proto/pages/comparison.h"
#include "proto/pages/error_map.h"
#include "proto/pages/html.h"
#include "proto/pages/map_table.h"
#include "quant/base/units.h"

namespace rotor {
namespace {

constexpr size_t kMostChanged = 20;

/// From green (half the error) over yellow (the same) to red (twice).
std::string ratio_colour(double ratio) {
  const double worse = std::clamp((std::log2(std::max(ratio, 1e-9)) + 1) / 2, 0.0, 1.0);
  return "hsl(" + std::to_string(std::lround(120 * (1 - worse))) + ",70%,60%)";
}

/// Of each cell of a map, where its kind and layer are in the other.
std::string ratios(const ErrorMap& a, const ErrorMap& b) {
  std::map<std::string, size_t> kinds;
  std::map<int64_t, size_t> layers;
  for (size_t i = 0; i < b.kinds.size(); ++i) {
    kinds.emplace(b.kinds[i], i);
  }
  for (size_t i = 0; i < b.layers.size(); ++i) {
    layers.emplace(b.layers[i], i);
  }
  return map_table(a, [&](const ErrorCell& cell, size_t layer, size_t kind) {
    const auto other_layer = layers.find(a.layers[layer]);
    const auto other_kind = kinds.find(a.kinds[kind]);
    if (other_layer == layers.end() || other_kind == kinds.end() ||
        b.cells[other_layer->second][other_kind->second].modules == 0) {
      return MapCell{"-", "transparent", "not quantized in B"};
    }
    const double other = b.cells[other_layer->second][other_kind->second].mean;
    const double ratio = cell.mean > 0.0 ? other / cell.mean : other > 0.0 ? 99.0 : 1.0;
    return MapCell{
        format_number("%.2f", ratio), ratio_colour(ratio),
        format_number("%.3e", cell.mean) + " in A, " + format_number("%.3e", other) + " in B"};
  });
}

std::string three(const std::string& what, const std::string& a, const std::string& b) {
  return "<tr>" + html_cell(what) + html_cell(a) + html_cell(b) + "</tr>\n";
}

std::string engines(const ReportFacts& facts, const std::string& side) {
  std::string text = "<h2>Engines of " + side + "</h2>\n<ul>";
  for (const std::string& mode : facts.serving_modes) {
    text += "<li>" + html_escaped(mode) + "</li>\n";
  }
  return text + "</ul>\n";
}

std::string names(const std::string& title, const std::vector<std::string>& all) {
  std::string text;
  for (const std::string& name : all) {
    text += "<li>" + html_escaped(name) + "</li>\n";
  }
  return text.empty() ? text : "<h2>" + title + "</h2>\n<ul>" + text + "</ul>\n";
}

}  // namespace

std::string comparison_page(const Comparison& comparison) {
  std::string body = html_table_begin({"", "A", "B"});
  body += three("", comparison.a.name, comparison.b.name);
  for (const auto& [what, a, b] : side_by_side(comparison)) {
    body += three(what, a, b);
  }
  body += html_table_end() + "<h2>Settings that differ</h2>\n";
  body += comparison.settings.empty() ? "<p>None that decides bytes.</p>\n" : "";
  if (!comparison.settings.empty()) {
    body += html_table_begin({"setting", "A", "B"});
    for (const ChangedSetting& setting : comparison.settings) {
      body += three(setting.name, setting.a, setting.b);
    }
    body += html_table_end();
  }
  body += "<h2>Errors of B as a multiple of A's</h2>\n" +
          ratios(error_map(comparison.a.modules), error_map(comparison.b.modules));
  body += "<h2>Modules that differ most</h2>\n" + html_table_begin({"module", "A", "B"});
  for (const ChangedModule& module : most_changed(comparison, kMostChanged)) {
    body += three(module.name, format_number("%.3e", module.a), format_number("%.3e", module.b));
  }
  body += html_table_end() + names("Quantized in A alone", comparison.only_a) +
          names("Quantized in B alone", comparison.only_b) + engines(comparison.a, "A") +
          engines(comparison.b, "B");
  return html_page("A: " + comparison.a.name + ", B: " + comparison.b.name, "", body);
}

}  // namespace rotor
