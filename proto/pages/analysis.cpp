#include "proto/pages/analysis.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "quant/base/units.h"

namespace rotor {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

constexpr std::array<const char*, 3> kFormats = {"nvfp4", "mxfp4", "int4"};

std::string number(const Json& value, const char* format = "%.2f") {
  return value.is_number() ? format_number(format, value.get<double>()) : "-";
}

std::string percent(const Json& share) {
  return share.is_number() ? format_number("%.2f %%", 100.0 * share.get<double>()) : "-";
}

std::string rotation_text(const Json& rotation) {
  const int block = rotation.get<int>();
  return block == 0 ? "none" : std::to_string(block);
}

/// The error that counts: with searched scales where there are such.
Json total(const Json& figures, const char* format) {
  const Json& formats = figures.at("formats");
  if (!formats.contains(format)) {
    return nullptr;
  }
  const Json& errors = formats[format];
  return errors.value("searched_total_mse", errors.at("total_mse"));
}

Json error_of(const Json& figures, const char* format, const char* key) {
  const Json& formats = figures.at("formats");
  return formats.contains(format) ? formats[format].at(key) : Json(nullptr);
}

std::string engines_text(const Json& estimate) {
  std::string text;
  for (const Json& engine : estimate.at("engines")) {
    text += (text.empty() ? "" : ", ") + engine.get<std::string>();
  }
  return text.empty() ? "none" : text;
}

/// Time, memory, checkpoint, staging and engines of a job.
Row job_cells(const Json& recommendation) {
  if (!recommendation.contains("estimate")) {
    return Row(5, "-");
  }
  const Json& estimate = recommendation["estimate"];
  const auto bytes = [&](const char* key) { return format_bytes(estimate.at(key)); };
  return {estimate.contains("seconds") ? "about " + format_duration(estimate["seconds"])
                                       : "not measured",
          bytes("worker_bytes_per_group"), bytes("output_bytes"), bytes("staging_bytes"),
          engines_text(estimate)};
}

constexpr char kOnline[] =
    "an engine that cannot rotate at run time takes `--rotation merged:N`, which leaves the inputs "
    "of "
    "down projections as they are";

AnalysisTable recommendations(const Json& analysis) {
  AnalysisTable table{
      kRecommended,
      "Errors are shares of the squares, rounded to nearest; the solver makes those "
      "of weights smaller.",
      {"activations", "format", "rotation", "error", "time", "memory", "checkpoint", "staging",
       "run by"},
      {false, false, false, true, true, true, true, true, false},
      {},
      {}};
  if (analysis.contains("layer_time")) {
    table.note +=
        " Time is of one rank on this device, at the pace of the one layer that was "
        "quantized to measure it.";
  }
  for (const Json& one : analysis.at("recommendations")) {
    const std::string activations = one.at("activations");
    Row row = {activations, "-", "-", "-"};
    table.lines.push_back(activations + ": " + one.at("reason").get<std::string>());
    if (!one.at("candidates").empty()) {
      const Json& best = one["candidates"][0];
      row = {activations, best.at("format"), rotation_text(best.at("rotation")),
             percent(best.at("error"))};
      if (best.at("rotation") != 0) {
        table.lines.push_back(activations + ": " + kOnline);
      }
      table.lines.push_back(activations + ": " + one.at("command").get<std::string>());
    }
    for (const Json& problem : one.value("problems", Json::array())) {
      table.lines.push_back(activations + ": refused: " + problem.at("message").get<std::string>());
    }
    for (std::string& cell : job_cells(one)) {
      row.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

AnalysisTable spread(const std::string& title, const Json& summaries, const std::string& note) {
  AnalysisTable table{title, note, {"rotation", "kurtosis", "Normal", "Laplace", "octaves"},
                      {},    {},   {}};
  for (const char* format : kFormats) {
    table.columns.insert(table.columns.end(), {format, "group", "top"});
  }
  table.numbers.assign(table.columns.size(), true);
  table.numbers[0] = false;
  for (const Json& figures : summaries) {
    Row row = {rotation_text(figures.at("rotation")), number(figures.at("excess_kurtosis")),
               number(figures.at("normal_distance"), "%.3f"),
               number(figures.at("laplace_distance"), "%.3f"),
               number(error_of(figures, kFormats[0], "scale_octaves"), "%.1f")};
    for (const char* format : kFormats) {
      row.push_back(percent(total(figures, format)));
      row.push_back(percent(error_of(figures, format, "relative_mse")));
      row.push_back(percent(error_of(figures, format, "top_mse")));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

AnalysisTable by_kind(const Json& analysis) {
  AnalysisTable table{
      "Errors by kind of stage and rotation", "", {"stage", "of", "format"}, {}, {}, {}};
  for (const Json& figures : analysis.at("overall").at("weights")) {
    table.columns.push_back(rotation_text(figures.at("rotation")));
  }
  table.columns.push_back("kurtosis");
  table.numbers.assign(table.columns.size(), true);
  std::fill_n(table.numbers.begin(), 3, false);
  for (const auto& [kind, summaries] : analysis.at("kinds").items()) {
    for (const char* what : {"weights", "inputs"}) {
      for (const char* format : kFormats) {
        Row row = {kind, what, format};
        for (const Json& figures : summaries.at(what)) {
          row.push_back(percent(total(figures, format)));
        }
        if (row.size() > 3) {
          row.push_back(number(summaries[what][0].at("excess_kurtosis")));
          table.rows.push_back(std::move(row));
        }
      }
    }
  }
  return table;
}

/// How many stages of a kind speak for what, each by itself.
AnalysisTable choices(const Json& analysis) {
  AnalysisTable table{"What each stage speaks for by itself",
                      "",
                      {"activations", "stage", "format", "rotation", "stages", "mean error"},
                      {false, false, false, false, true, true},
                      {},
                      {}};
  struct Group {
    Row key;
    int64_t count = 0;
    double error = 0.0;
  };
  for (const Json& one : analysis.at("recommendations")) {
    std::vector<Group> groups;
    for (const Json& stage : one.at("stages")) {
      const Row key = {one.at("activations"), stage.at("kind"), stage.at("format"),
                       rotation_text(stage.at("rotation"))};
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const Group& other) { return other.key == key; });
      if (group == groups.end()) {
        group = groups.insert(groups.end(), Group{key});
      }
      ++group->count;
      group->error += stage.at("error").get<double>();
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [](const Group& a, const Group& b) { return a.key[1] < b.key[1]; });
    for (Group& group : groups) {
      group.key.push_back(std::to_string(group.count));
      group.key.push_back(percent(group.error / static_cast<double>(group.count)));
      table.rows.push_back(std::move(group.key));
    }
  }
  return table;
}

/// The input figures of the stage that a module is of.
const Json* inputs_of(const Json& analysis, const std::string& module) {
  for (const Json& stage : analysis.at("stages")) {
    const Json& names = stage.at("modules");
    if (std::find(names.begin(), names.end(), module) != names.end()) {
      return &stage.at("inputs");
    }
  }
  return nullptr;
}

AnalysisTable worst_modules(const Json& analysis, size_t worst) {
  AnalysisTable table{"The worst modules",
                      "",
                      {"module", "weights", "inputs", "kurtosis of weights", "of inputs"},
                      {false, true, true, true, true},
                      {},
                      {}};
  const Json& recommended = analysis.at("recommendations").at(0).at("candidates");
  if (recommended.empty()) {
    return table;
  }
  const std::string format = recommended[0].at("format");
  const Json& rotation = recommended[0].at("rotation");
  table.title +=
      ", in " + format + (rotation == 0 ? ", unrotated" : ", rotation " + rotation_text(rotation));
  const auto chosen = [&](const Json& figures) -> const Json& {
    return *std::find_if(figures.begin(), figures.end(),
                         [&](const Json& one) { return one.at("rotation") == rotation; });
  };
  std::vector<std::pair<double, const Json*>> modules;
  for (const Json& module : analysis.at("modules")) {
    const Json error = total(chosen(module.at("weights")), format.c_str());
    modules.emplace_back(error.get<double>(), &module);
  }
  std::stable_sort(modules.begin(), modules.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  modules.resize(std::min(modules.size(), worst));
  for (const auto& [error, module] : modules) {
    const std::string name = module->at("name");
    const Json& inputs = *inputs_of(analysis, name);
    table.rows.push_back({name, percent(error), percent(total(chosen(inputs), format.c_str())),
                          number(chosen(module->at("weights")).at("excess_kurtosis")),
                          number(chosen(inputs).at("excess_kurtosis"))});
  }
  return table;
}

constexpr char kMeaning[] =
    "Means over the matrices. Kurtosis is 0 of a Normal distribution, 3 of a Laplace; under Normal "
    "and Laplace: how far the values are from the one that fits best (Kolmogorov and Smirnov). "
    "Octaves: the range of NVFP4's scales, of which E4M3 has 14.8. Under each format: the squared "
    "error over the squares of the matrix, the same by group, and that of a group's largest "
    "element.";

}  // namespace

std::vector<AnalysisTable> analysis_tables(const Json& analysis, size_t worst) {
  const Json& overall = analysis.at("overall");
  return {recommendations(analysis),
          spread("Weights", overall.at("weights"), kMeaning),
          spread("Inputs", overall.at("inputs"), ""),
          by_kind(analysis),
          choices(analysis),
          worst_modules(analysis, worst)};
}

std::string analysis_title(const Json& analysis) {
  const size_t looked_at = analysis.at("layers").size();
  const auto layers = analysis.at("model_layers").get<size_t>();
  return analysis.at("model").get<std::string>() + ": " +
         (looked_at < layers ? std::to_string(looked_at) + " of " : "") + std::to_string(layers) +
         " layers, " + std::to_string(analysis.at("modules").size()) + " modules, on " +
         std::to_string(analysis.at("sequences").get<int64_t>()) + " windows of " +
         std::to_string(analysis.at("seq_len").get<int64_t>()) + " tokens, " +
         analysis.at("device").get<std::string>();
}

}  // namespace rotor
