#include <array>
#include <nlohmann/json.hpp>

#include "proto/pages/analysis.h"
#include "proto/pages/error_map.h"
#include "proto/pages/html.h"
#include "proto/pages/line_chart.h"
#include "proto/pages/map_table.h"
#include "quant/base/units.h"

namespace rotor {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kWorst = 20;

std::string table_html(const AnalysisTable& table) {
  std::string rows;
  for (const std::vector<std::string>& row : table.rows) {
    std::string cells;
    for (size_t i = 0; i < row.size(); ++i) {
      cells += table.numbers[i] ? html_number_cell(row[i]) : html_cell(row[i]);
    }
    rows += html_row({cells});
  }
  const std::string note = table.note.empty() ? "" : "<p>" + html_escaped(table.note) + "</p>\n";
  return rows.empty() ? "" : note + html_table(table.columns, rows) + html_list(table.lines);
}

/// What rotations do to the errors, format by format, as in the paper's figure 3.
std::string charts(const Json& overall) {
  struct Kind {
    const char* key;
    const char* title;
  };
  constexpr std::array kColours = {std::pair("nvfp4", "#2a9d5c"), std::pair("mxfp4", "#c65d21"),
                                   std::pair("int4", "#4a6fc4")};
  std::string all;
  for (const char* what : {"weights", "inputs"}) {
    for (const Kind& kind : {Kind{"relative_mse", "squared error by group"},
                             Kind{"top_mse", "of the largest element"}}) {
      std::vector<std::string> places;
      std::vector<ChartLine> lines;
      for (const auto& [format, colour] : kColours) {
        ChartLine& line = lines.emplace_back(ChartLine{format, colour, {}});
        places.clear();
        for (const Json& figures : overall.at(what)) {
          const int rotation = figures.at("rotation").get<int>();
          places.push_back(rotation == 0 ? "none" : std::to_string(rotation));
          const Json& formats = figures.at("formats");
          line.values.push_back(formats.contains(format)
                                    ? std::optional(formats[format].at(kind.key).get<double>())
                                    : std::nullopt);
        }
      }
      all += line_chart(std::string(what) + ", " + kind.title, places, lines);
    }
  }
  return all;
}

/// The weights' errors by layer and module, as recommended for weights alone.
std::string map_of(const Json& analysis) {
  const Json& recommended = analysis.at("recommendations").at(0).at("candidates");
  std::vector<v1::ModuleReport> modules;
  for (const Json& module : analysis.at("modules")) {
    for (const Json& figures : module.at("weights")) {
      if (!recommended.empty() && figures.at("rotation") == recommended[0].at("rotation")) {
        const Json& errors = figures.at("formats").at(recommended[0].at("format"));
        v1::ModuleReport& report = modules.emplace_back();
        report.set_name(module.at("name").get<std::string>());
        report.set_relative_error(errors.at("searched_total_mse").get<double>());
      }
    }
  }
  const ErrorMap map = error_map(modules);
  return map_table(map, [](const ErrorCell& cell, size_t, size_t) {
    return MapCell{format_number("%.2f", 100.0 * cell.mean), error_colour(cell.mean),
                   cell.worst->name()};
  });
}

}  // namespace

std::string analysis_page(const Json& analysis) {
  std::string body;
  for (const AnalysisTable& table : analysis_tables(analysis, kWorst)) {
    body += html_section(table.title, table_html(table));
    if (table.title == kRecommended) {
      body += html_section("Errors by rotation", charts(analysis.at("overall")));
    }
  }
  body += html_section("Errors of the weights by layer and module, in percent", map_of(analysis));
  return html_page(analysis_title(analysis), "", body);
}

}  // namespace rotor
