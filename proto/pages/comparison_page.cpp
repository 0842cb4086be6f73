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
  return html_row({html_cell(what), html_cell(a), html_cell(b)});
}

}  // namespace

std::string comparison_page(const Comparison& comparison) {
  std::string figures = three("", comparison.a.name, comparison.b.name);
  for (const auto& [what, a, b] : side_by_side(comparison)) {
    figures += three(what, a, b);
  }
  std::string settings;
  for (const ChangedSetting& setting : comparison.settings) {
    settings += three(setting.name, setting.a, setting.b);
  }
  std::string modules;
  for (const ChangedModule& module : most_changed(comparison, kMostChanged)) {
    modules += three(module.name, format_number("%.3e", module.a), format_number("%.3e", module.b));
  }
  return html_page(
      "A: " + comparison.a.name + ", B: " + comparison.b.name, "",
      html_table({"", "A", "B"}, figures) +
          html_section("Settings that differ", html_table({"setting", "A", "B"}, settings)) +
          html_section("Errors of B as a multiple of A's",
                       ratios(error_map(comparison.a.modules), error_map(comparison.b.modules))) +
          html_section("Modules that differ most", html_table({"module", "A", "B"}, modules)) +
          html_section("Quantized in A alone", html_list(comparison.only_a)) +
          html_section("Quantized in B alone", html_list(comparison.only_b)) +
          html_section("Engines of A", html_list(comparison.a.serving_modes)) +
          html_section("Engines of B", html_list(comparison.b.serving_modes)));
}

}  // namespace rotor
