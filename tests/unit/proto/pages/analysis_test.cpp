#include "proto/pages/analysis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace rotor {
namespace {

using Json = nlohmann::ordered_json;

/// Figures whose errors begin with `error` and fall by a tenth with each rotation.
Json figures(double error, bool weights) {
  Json rows = Json::array();
  for (const int rotation : {0, 16, 32, 64, 128}) {
    Json row = {{"rotation", rotation},     {"block", rotation},
                {"excess_kurtosis", 2.5},   {"laplace_share", 1.0},
                {"normal_distance", 0.05},  {"laplace_distance", nullptr},
                {"formats", Json::object()}};
    for (const char* format : {"nvfp4", "mxfp4"}) {
      row["formats"][format] = {{"group_size", 16},
                                {"relative_mse", 2 * error},
                                {"top_mse", error / 10},
                                {"total_mse", error},
                                {"scale_octaves", 5.25}};
      if (weights) {
        row["formats"][format]["searched_total_mse"] = error / 2;
      }
    }
    rows.push_back(row);
    error *= 0.9;
  }
  return rows;
}

Json small_analysis() {
  const Json summary = {
      {"modules", 2}, {"weights", figures(0.02, true)}, {"inputs", figures(0.03, false)}};
  Json analysis = {{"model", "/models/a<b>"},
                   {"model_layers", 8},
                   {"device", "cpu"},
                   {"sequences", 16},
                   {"seq_len", 2048},
                   {"tokens", 32768},
                   {"layers", {0, 3}},
                   {"overall", summary},
                   {"kinds", {{"qkv", summary}}},
                   {"layer_time", {{"layer", 0}}}};
  for (const int layer : {0, 3}) {
    const std::string name = "model.layers." + std::to_string(layer) + ".self_attn.q_proj";
    analysis["modules"].push_back(
        {{"name", name}, {"layer", layer}, {"weights", figures(0.01 * (layer + 1), true)}});
    analysis["stages"].push_back(
        {{"layer", layer}, {"kind", "qkv"}, {"modules", {name}}, {"inputs", figures(0.03, false)}});
  }
  const Json candidate = {{"format", "nvfp4"}, {"rotation", 32}, {"error", 0.0123}};
  Json chosen = candidate;
  chosen.update({{"layer", 0}, {"kind", "qkv"}, {"module", "m"}});
  Json one = {{"activations", "a16"},
              {"candidates", {candidate}},
              {"reason", "because & so"},
              {"stages", {chosen, chosen}},
              {"command", "rotor quantize"}};
  one["estimate"] = {{"seconds", 75.0},
                     {"worker_bytes_per_group", 2000000000},
                     {"output_bytes", 3000000},
                     {"staging_bytes", 1000000},
                     {"engines", {"vllm"}}};
  Json refused = one;
  refused["activations"] = "a4";
  refused.erase("estimate");
  refused["problems"] = {{{"message", "cannot"}}};
  analysis["recommendations"] = {one, refused};
  return analysis;
}

std::string joined(const std::vector<std::string>& row) {
  std::string text;
  for (const std::string& cell : row) {
    text += cell + "|";
  }
  return text;
}

const AnalysisTable& table(const std::vector<AnalysisTable>& tables, const std::string& title) {
  return *std::find_if(tables.begin(), tables.end(),
                       [&](const AnalysisTable& one) { return one.title.starts_with(title); });
}

TEST(Analysis, TablesSayWhatTheObjectSays) {
  const std::vector<AnalysisTable> tables = analysis_tables(small_analysis(), 1);
  for (const AnalysisTable& one : tables) {
    EXPECT_EQ(one.columns.size(), one.numbers.size()) << one.title;
    EXPECT_FALSE(one.rows.empty()) << one.title;
    for (const std::vector<std::string>& row : one.rows) {
      EXPECT_EQ(row.size(), one.columns.size()) << one.title << ": " << joined(row);
    }
  }
  const AnalysisTable& recommended = table(tables, "Recommended");
  EXPECT_EQ(joined(recommended.rows[0]),
            "a16|nvfp4|32|1.23 %|about 1m15s|2.0 GB|3.0 MB|1.0 MB|vllm|");
  EXPECT_EQ(joined(recommended.rows[1]), "a4|nvfp4|32|1.23 %|-|-|-|-|-|");
  const std::string lines = joined(recommended.lines);
  for (const char* line :
       {"a16: because & so|", "a16: rotor quantize|", "a4: refused: cannot|", "merged:N"}) {
    EXPECT_NE(lines.find(line), std::string::npos) << lines;
  }
  // Of weights the error with searched scales counts; what a format cannot have is a dash.
  EXPECT_EQ(joined(table(tables, "Weights").rows[0]),
            "none|2.50|0.050|-|5.2|1.00 %|4.00 %|0.20 %|1.00 %|4.00 %|0.20 %|-|-|-|");
  EXPECT_EQ(joined(table(tables, "Inputs").rows[1]).substr(0, 28), "16|2.50|0.050|-|5.2|2.70 %|5");
  EXPECT_EQ(joined(table(tables, "What each").rows[0]), "a16|qkv|nvfp4|32|2|1.23 %|");
  const AnalysisTable& worst = table(tables, "The worst modules, in nvfp4, rotation 32");
  ASSERT_EQ(worst.rows.size(), 1U);
  EXPECT_EQ(joined(worst.rows[0]), "model.layers.3.self_attn.q_proj|1.62 %|2.43 %|2.50|2.50|");
}

TEST(Analysis, TitleSaysHowMuchWasLookedAt) {
  EXPECT_EQ(analysis_title(small_analysis()),
            "/models/a<b>: 2 of 8 layers, 2 modules, on 16 windows of 2048 tokens, cpu");
}

TEST(Analysis, IsAPageThatNeedsNothingElse) {
  const std::string page = analysis_page(small_analysis());
  for (const char* word :
       {"/models/a&lt;b&gt;", "because &amp; so", "about 1m15s", "self_attn.q_proj", "hsl(", "<svg",
        "weights, squared error by group", "class=\"n\">1.62 %<"}) {
    EXPECT_NE(page.find(word), std::string::npos) << word << " is not in\n" << page;
  }
  for (const char* word : {"<script", "http", "src=", "@import", "a<b>"}) {
    EXPECT_EQ(page.find(word), std::string::npos) << word;
  }
}

TEST(Analysis, SaysWhereNothingCanBeRecommended) {
  Json analysis = small_analysis();
  for (Json& one : analysis["recommendations"]) {
    one["candidates"] = Json::array();
    one["stages"] = Json::array();
    one.erase("command");
  }
  const std::vector<AnalysisTable> tables = analysis_tables(analysis, 1);
  EXPECT_EQ(joined(table(tables, "Recommended").rows[0]).substr(0, 10), "a16|-|-|-|");
  EXPECT_EQ(table(tables, "Recommended").lines.size(), 3U) << "two reasons and the refusal";
  EXPECT_EQ(analysis_page(analysis).find("The worst modules"), std::string::npos);
}

}  // namespace
}  // namespace rotor
