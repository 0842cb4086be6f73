#include "proto/pages/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "proto/json.h"
#include "quant/base/units.h"

namespace rotor {
namespace {

Json side_json(const ReportFacts& facts) {
  const MeanErrors mean = mean_errors(facts);
  Json json = {{"name", facts.name},
               {"modules", facts.modules.size()},
               {"mean_relative_error", mean.error},
               {"mean_rtn_relative_error", mean.rtn_error},
               {"fallbacks", mean.fallbacks},
               {"output_bytes", facts.output_bytes},
               {"serving_modes", facts.serving_modes}};
  if (facts.perplexity) {
    json["perplexity"] = *facts.perplexity;
  }
  return json;
}

std::vector<ChangedSetting> changed_settings(const ReportFacts& a, const ReportFacts& b) {
  const std::map<std::string, std::string> in_b(b.settings.begin(), b.settings.end());
  std::map<std::string, std::string> in_a;
  std::vector<ChangedSetting> changed;
  for (const auto& [name, value] : a.settings) {
    in_a.emplace(name, value);
    const auto found = in_b.find(name);
    const std::string other = found == in_b.end() ? "-" : found->second;
    if (other != value) {
      changed.push_back({name, value, other});
    }
  }
  for (const auto& [name, value] : b.settings) {
    if (!in_a.contains(name)) {
      changed.push_back({name, "-", value});
    }
  }
  return changed;
}

}  // namespace

Comparison compare(ReportFacts a, ReportFacts b) {
  Comparison comparison;
  comparison.settings = changed_settings(a, b);
  std::map<std::string, double> in_b;
  for (const v1::ModuleReport& module : b.modules) {
    in_b.emplace(module.name(), module.relative_error());
  }
  for (const v1::ModuleReport& module : a.modules) {
    const auto found = in_b.find(module.name());
    if (found == in_b.end()) {
      comparison.only_a.push_back(module.name());
      continue;
    }
    comparison.modules.push_back({module.name(), module.relative_error(), found->second});
    in_b.erase(found);
  }
  for (const v1::ModuleReport& module : b.modules) {
    if (in_b.contains(module.name())) {
      comparison.only_b.push_back(module.name());
    }
  }
  comparison.a = std::move(a);
  comparison.b = std::move(b);
  return comparison;
}

std::vector<std::array<std::string, 3>> side_by_side(const Comparison& comparison) {
  std::vector<std::array<std::string, 3>> rows;
  const auto add = [&](const std::string& what, const auto& figure) {
    std::array<std::string, 3> row = {what, figure(comparison.a), figure(comparison.b)};
    if (row[1] != "-" || row[2] != "-") {
      rows.push_back(std::move(row));
    }
  };
  const auto number = [](const char* format, std::optional<double> value) {
    return value ? format_number(format, *value) : std::string("-");
  };
  add("quantized modules",
      [](const ReportFacts& facts) { return std::to_string(facts.modules.size()); });
  add("mean relative error",
      [&](const ReportFacts& facts) { return number("%.3e", mean_errors(facts).error); });
  add("the same, rounded to nearest",
      [&](const ReportFacts& facts) { return number("%.3e", mean_errors(facts).rtn_error); });
  add("modules that fell back",
      [](const ReportFacts& facts) { return std::to_string(mean_errors(facts).fallbacks); });
  add("perplexity", [&](const ReportFacts& facts) { return number("%.4f", facts.perplexity); });
  add("perplexity of the source",
      [&](const ReportFacts& facts) { return number("%.4f", facts.source_perplexity); });
  add("divergence from the source (KL)",
      [&](const ReportFacts& facts) { return number("%.5f", facts.kl); });
  add("checkpoint", [](const ReportFacts& facts) {
    return facts.output_bytes > 0 ? format_bytes(facts.output_bytes) : std::string("-");
  });
  return rows;
}

std::vector<ChangedModule> most_changed(const Comparison& comparison, size_t count) {
  const auto change = [](const ChangedModule& module) {
    return std::abs(std::log(std::max(module.b, 1e-12) / std::max(module.a, 1e-12)));
  };
  std::vector<ChangedModule> order;
  std::copy_if(comparison.modules.begin(), comparison.modules.end(), std::back_inserter(order),
               [](const ChangedModule& module) { return module.a != module.b; });
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto& x, const auto& y) { return change(x) > change(y); });
  order.resize(std::min(order.size(), count));
  return order;
}

Json comparison_json(const Comparison& comparison) {
  Json json = {{"a", side_json(comparison.a)}, {"b", side_json(comparison.b)},
               {"settings", Json::array()},    {"modules", Json::array()},
               {"only_a", comparison.only_a},  {"only_b", comparison.only_b}};
  for (const ChangedSetting& setting : comparison.settings) {
    json["settings"].push_back({{"name", setting.name}, {"a", setting.a}, {"b", setting.b}});
  }
  for (const ChangedModule& module : comparison.modules) {
    json["modules"].push_back({{"name", module.name}, {"a", module.a}, {"b", module.b}});
  }
  return json;
}

}  // namespace rotor
