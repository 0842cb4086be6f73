#include "worker/analyze/analysis_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "worker/analyze/recommend.h"
#include "worker/analyze/summary.h"

namespace rotor::worker {
namespace {

using Json = nlohmann::ordered_json;

Json fit_json(const Fit& fit) {
  return {{"location", fit.location},
          {"scale", fit.scale},
          {"log_likelihood", fit.log_likelihood},
          {"distance", fit.distance}};
}

Json errors_json(const FormatSummary& errors) {
  Json json = {{"group_size", errors.group_size},
               {"relative_mse", errors.relative},
               {"top_mse", errors.top},
               {"total_mse", errors.total},
               {"scale_octaves", errors.octaves}};
  if (errors.searched) {
    json["searched_total_mse"] = *errors.searched;
  }
  return json;
}

Json figures_json(const Figures& figures) {
  Json rows = Json::array();
  for (const RotationFigures& one : figures) {
    Json formats = Json::object();
    for (const FormatFigures& format : one.formats) {
      formats[std::string(to_string(format.format))] = errors_json(summary_of(format));
    }
    rows.push_back({{"rotation", one.rotation},
                    {"block", one.block},
                    {"values", one.values.count},
                    {"largest", one.values.largest},
                    {"excess_kurtosis", one.values.excess_kurtosis},
                    {"normal", fit_json(one.values.normal)},
                    {"laplace", fit_json(one.values.laplace)},
                    {"formats", std::move(formats)}});
  }
  return rows;
}

Json summary_json(const Summary& summary) {
  Json rows = Json::array();
  for (const RotationSummary& one : summary.rotations) {
    Json formats = Json::object();
    for (const FormatSummary& format : one.formats) {
      formats[std::string(to_string(format.format))] = errors_json(format);
    }
    rows.push_back({{"rotation", one.rotation},
                    {"excess_kurtosis", one.excess_kurtosis},
                    {"laplace_share", one.laplace_share},
                    {"normal_distance", one.normal_distance},
                    {"laplace_distance", one.laplace_distance},
                    {"formats", std::move(formats)}});
  }
  return rows;
}

Json summaries_json(const std::vector<StageFigures>& stages, const StageFilter& chosen) {
  const Summary weights = summarize_weights(stages, chosen);
  return {{"modules", weights.matrices},
          {"weights", summary_json(weights)},
          {"inputs", summary_json(summarize_inputs(stages, chosen))}};
}

Json candidate_json(const Candidate& candidate) {
  return {{"format", to_string(candidate.format)},
          {"rotation", candidate.rotation},
          {"error", candidate.error},
          {"unrotated_error", candidate.unrotated_error},
          {"bits_per_weight", candidate.bits}};
}

Json recommendation_json(const Recommendation& recommendation) {
  Json json = {{"activations", to_string(recommendation.activations)},
               {"candidates", Json::array()},
               {"reason", recommendation.reason},
               {"stages", Json::array()}};
  for (const Candidate& candidate : recommendation.candidates) {
    json["candidates"].push_back(candidate_json(candidate));
  }
  for (const StageChoice& stage : recommendation.stages) {
    Json choice = {
        {"layer", stage.layer}, {"kind", to_string(stage.family)}, {"module", stage.module}};
    choice.update(candidate_json(stage.choice));
    json["stages"].push_back(std::move(choice));
  }
  return json;
}

}  // namespace

Json analysis_json(const Analysis& analysis) {
  Json json = {{"layers", analysis.layers}};
  json["overall"] = summaries_json(analysis.stages, [](const StageFigures&) { return true; });
  json["kinds"] = Json::object();
  for (const StageFamily family : kStageFamilies) {
    json["kinds"][std::string(to_string(family))] = summaries_json(
        analysis.stages, [&](const StageFigures& stage) { return stage.family == family; });
  }
  json["modules"] = Json::array();
  json["stages"] = Json::array();
  for (const StageFigures& stage : analysis.stages) {
    Json names = Json::array();
    for (const ModuleFigures& module : stage.modules) {
      names.push_back(module.name);
      json["modules"].push_back({{"name", module.name},
                                 {"layer", stage.layer},
                                 {"kind", to_string(stage.family)},
                                 {"rows", module.rows},
                                 {"cols", module.cols},
                                 {"weights", figures_json(module.weights)}});
    }
    json["stages"].push_back({{"layer", stage.layer},
                              {"kind", to_string(stage.family)},
                              {"modules", std::move(names)},
                              {"inputs", figures_json(stage.inputs)}});
  }
  json["recommendations"] = Json::array();
  for (const Activations activations : {Activations::kA16, Activations::kA4}) {
    json["recommendations"].push_back(recommendation_json(recommend(analysis.stages, activations)));
  }
  if (analysis.time) {
    json["layer_time"] = {{"layer", analysis.time->layer},
                          {"tokens", analysis.time->tokens},
                          {"by_token_seconds", analysis.time->by_token_seconds},
                          {"fixed_seconds", analysis.time->fixed_seconds}};
  }
  return json;
}

}  // namespace rotor::worker
