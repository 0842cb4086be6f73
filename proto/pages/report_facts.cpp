#include "proto/pages/report_facts.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "proto/json.h"

namespace rotor {
namespace {

Status bad_report(const std::string& key, const std::string& what) {
  return invalid_argument("rotor_report.json: '" + key + "' " + what +
                          "; it is not as Rotor wrote it")
      .with_reason("BAD_REPORT");
}

std::optional<double> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>())
                                                     : std::nullopt;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> setting_texts(const Json& options) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& [key, value] : options.items()) {
    texts.emplace_back(key, value.is_string()
                                ? value.get<std::string>()
                                : value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return texts;
}

MeanErrors mean_errors(const ReportFacts& facts) {
  MeanErrors mean;
  for (const v1::ModuleReport& module : facts.modules) {
    mean.error += module.relative_error();
    mean.rtn_error += module.rtn_relative_error();
    mean.fallbacks += module.fallbacks().empty() ? 0 : 1;
  }
  if (!facts.modules.empty()) {
    mean.error /= static_cast<double>(facts.modules.size());
    mean.rtn_error /= static_cast<double>(facts.modules.size());
  }
  return mean;
}

ReportFacts report_facts(const v1::Report& report) {
  ReportFacts facts;
  facts.name = report.job().name();
  facts.settings = setting_texts(byte_settings_json(report.job().spec()));
  for (const v1::LayerReport& layer : report.layers()) {
    facts.modules.insert(facts.modules.end(), layer.modules().begin(), layer.modules().end());
  }
  facts.serving_modes.assign(report.serving_modes().begin(), report.serving_modes().end());
  const auto& warnings = report.job().estimate().warnings();
  facts.warnings.assign(warnings.begin(), warnings.end());
  facts.output_bytes = report.output_bytes();
  if (report.has_perplexity()) {
    facts.perplexity = report.perplexity();
    facts.perplexity_tokens = report.perplexity_tokens();
  }
  facts.seconds = report.seconds();
  facts.phases.assign(report.phases().begin(), report.phases().end());
  facts.workers.assign(report.workers().begin(), report.workers().end());
  return facts;
}

Result<ReportFacts> report_facts(const std::string& name, const Json& file, int64_t output_bytes) {
  if (!file.is_object()) {
    return invalid_argument("rotor_report.json is no JSON object").with_reason("BAD_REPORT");
  }
  ReportFacts facts;
  facts.name = name;
  facts.output_bytes = output_bytes;
  if (const auto options = file.find("options"); options != file.end() && options->is_object()) {
    facts.settings = setting_texts(*options);
  } else {
    return bad_report("options", "is no object");
  }
  const auto modes = file.find("serving_modes");
  if (modes == file.end() || !modes->is_array()) {
    return bad_report("serving_modes", "is no list");
  }
  for (const Json& mode : *modes) {
    if (!mode.is_string()) {
      return bad_report("serving_modes", "has an entry that is no text");
    }
    facts.serving_modes.push_back(mode.get<std::string>());
  }
  const auto modules = file.find("modules");
  if (modules == file.end() || !modules->is_array()) {
    return bad_report("modules", "is no list");
  }
  google::protobuf::util::JsonParseOptions newer;
  newer.ignore_unknown_fields = true;  // a later version may tell more
  for (const Json& module : *modules) {
    const auto read = google::protobuf::util::JsonStringToMessage(
        module.dump(-1, ' ', false, Json::error_handler_t::replace), &facts.modules.emplace_back(),
        newer);
    if (!read.ok()) {
      return bad_report("modules[" + std::to_string(facts.modules.size() - 1) + "]",
                        "cannot be read (" + std::string(read.message()) + ")");
    }
  }
  facts.perplexity = number_of(file, "perplexity");
  facts.perplexity_tokens = static_cast<int64_t>(number_of(file, "perplexity_tokens").value_or(0));
  return facts;
}

Status add_evaluation(const Json& evaluation, ReportFacts* facts) {
  if (!evaluation.is_object() || !number_of(evaluation, "perplexity")) {
    return invalid_argument(
               "the evaluation has no number 'perplexity': give what rotor eval "
               "CHECKPOINT --text FILE [--against SOURCE] -o json printed")
        .with_reason("BAD_EVALUATION");
  }
  facts->perplexity = number_of(evaluation, "perplexity");
  facts->perplexity_tokens = static_cast<int64_t>(number_of(evaluation, "tokens").value_or(0.0));
  facts->source_perplexity = number_of(evaluation, "source_perplexity");
  facts->kl = number_of(evaluation, "kl");
  facts->same_top = number_of(evaluation, "same_top");
  return {};
}

}  // namespace rotor
