#include "ops/cli/job_json.h"

#include <google/protobuf/util/time_util.h>

#include <nlohmann/json.hpp>

#include "proto/convert.h"

namespace rotor::cli {
namespace {

Json strings(const google::protobuf::RepeatedPtrField<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) {
    list.push_back(value);
  }
  return list;
}

Json modules_json(const google::protobuf::RepeatedPtrField<v1::ModuleReport>& modules) {
  Json list = Json::array();
  for (const v1::ModuleReport& module : modules) {
    list.push_back(module_json(module));
  }
  return list;
}

Json override_json(const v1::Override& value) {
  Json json = {{"pattern", value.pattern()}};
  if (value.method() != v1::METHOD_UNSPECIFIED) {
    json["method"] = cli_name(value.method());
  }
  if (value.scale_search() != v1::SCALE_SEARCH_UNSPECIFIED) {
    json["scale_search"] = cli_name(value.scale_search());
  }
  if (value.has_act_order()) {
    json["act_order"] = value.act_order();
  }
  if (value.has_damping()) {
    json["damping"] = value.damping();
  }
  return json;
}

Json estimate_json(const v1::Estimate& estimate) {
  return {{"source_bytes", estimate.source_bytes()},
          {"output_bytes", estimate.output_bytes()},
          {"staging_bytes", estimate.staging_bytes()},
          {"worker_bytes_per_group", estimate.worker_bytes_per_group()},
          {"calibration_tokens", estimate.calibration_tokens()},
          {"flops", estimate.flops()}};
}

void add_event(const v1::StateChanged& event, Json& json) {
  json["event"] = "state";
  json["state"] = state_name(event.state());
  if (event.has_cause()) {
    json["cause"] = cause_json(event.cause());
  }
}

void add_event(const v1::ShardLeased& event, Json& json) {
  json["event"] = "leased";
  json["first_layer"] = event.first_layer();
  json["end_layer"] = event.end_layer();
  json["fence"] = event.fence();
  json["worker"] = event.worker();
  json["ranks"] = event.ranks();
  json["committed_layers"] = event.committed_layers();
}

void add_event(const v1::StageDone& event, Json& json) {
  json["event"] = "stage";
  json["layer"] = event.layer();
  json["stage"] = event.stage();
  json["stages"] = event.stages();
  json["modules"] = modules_json(event.modules());
}

void add_event(const v1::LayerCommitted& event, Json& json) {
  json["event"] = "committed";
  json["layer"] = event.layer();
  json["committed_layers"] = event.committed_layers();
  json["layers"] = event.layers();
  json["seconds"] = event.seconds();
}

void add_event(const v1::LeaseLost& event, Json& json) {
  json["event"] = "lost";
  json["first_layer"] = event.first_layer();
  json["fence"] = event.fence();
  json["reason"] = event.reason();
}

void add_event(const v1::Assembled& event, Json& json) {
  json["event"] = "assembled";
  json["output"] = event.output();
  json["bytes"] = event.bytes();
  json["files"] = event.files();
}

Json phases_json(const google::protobuf::RepeatedPtrField<v1::PhaseTime>& phases) {
  Json list = Json::array();
  for (const v1::PhaseTime& phase : phases) {
    list.push_back(
        {{"phase", phase.phase()}, {"seconds", phase.seconds()}, {"flops", phase.flops()}});
  }
  return list;
}

}  // namespace

std::string time_text(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) {
    return "";
  }
  google::protobuf::Timestamp whole;
  whole.set_seconds(time.seconds());
  return google::protobuf::util::TimeUtil::ToString(whole);
}

Json cause_json(const v1::Cause& cause) {
  Json details = Json::object();
  for (const auto& [key, value] :
       std::map<std::string, std::string>(cause.details().begin(), cause.details().end())) {
    details[key] = value;
  }
  return {{"code", code_name(static_cast<Code>(cause.code()))},
          {"reason", cause.reason()},
          {"message", cause.message()},
          {"details", details}};
}

Json module_json(const v1::ModuleReport& module) {
  Json fallbacks = Json::array();
  for (const v1::Fallback& fallback : module.fallbacks()) {
    fallbacks.push_back({{"kind", fallback.kind()}, {"detail", fallback.detail()}});
  }
  return {{"name", module.name()},
          {"relative_error", module.relative_error()},
          {"rtn_relative_error", module.rtn_relative_error()},
          {"damping", module.damping()},
          {"rotation", module.rotation()},
          {"method", module.method()},
          {"tokens", module.tokens()},
          {"fallbacks", fallbacks}};
}

Json spec_json(const v1::JobSpec& spec) {
  Json overrides = Json::array();
  for (const v1::Override& value : spec.overrides()) {
    overrides.push_back(override_json(value));
  }
  Json json = {{"model", spec.model()},
               {"output", spec.output()},
               {"calibration",
                {{"files", strings(spec.calibration().files())},
                 {"sequences", spec.calibration().sequences()},
                 {"seq_len", spec.calibration().seq_len()},
                 {"seed", spec.calibration().seed()},
                 {"mode", cli_name(spec.calibration().mode())}}},
               {"format", cli_name(spec.format())},
               {"method", cli_name(spec.method())},
               {"activations", cli_name(spec.activations())},
               {"rotation", spec.rotation()},
               {"merged_rotation", spec.merged_rotation()},
               {"group_size", spec.group_size()},
               {"scale_search", cli_name(spec.scale_search())},
               {"act_order", spec.act_order()},
               {"damping", spec.damping()},
               {"refine_passes", spec.refine_passes()},
               {"least_expert_share", spec.least_expert_share()},
               {"propagate", cli_name(spec.propagate())},
               {"sequential", cli_name(spec.sequential())},
               {"layout", cli_name(spec.layout())},
               {"ignore", strings(spec.ignore())},
               {"overrides", overrides},
               {"max_fallback_share", spec.limits().max_fallback_share()},
               {"lanes", spec.plan().lanes()},
               {"micro_batch_sequences", spec.plan().micro_batch_sequences()},
               {"max_shard_size", spec.max_shard_size()}};
  if (spec.has_evaluation()) {
    json["evaluation"] = {{"files", strings(spec.evaluation().files())},
                          {"sequences", spec.evaluation().sequences()},
                          {"seq_len", spec.evaluation().seq_len()}};
  }
  return json;
}

Json job_json(const v1::Job& job) {
  Json json = {{"job", job.name()},
               {"state", state_name(job.state())},
               {"output", job.output_path()},
               {"request_id", job.request_id()},
               {"layers", job.layers()},
               {"committed_layers", job.committed_layers()},
               {"revision", job.revision()},
               {"create_time", time_text(job.create_time())},
               {"update_time", time_text(job.update_time())}};
  if (job.has_cause()) {
    json["cause"] = cause_json(job.cause());
  }
  if (job.has_estimate()) {
    json["estimate"] = estimate_json(job.estimate());
  }
  if (!job.problems().empty()) {
    json["problems"] = Json::array();
    for (const v1::Cause& problem : job.problems()) {
      json["problems"].push_back(cause_json(problem));
    }
  }
  json["spec"] = spec_json(job.spec());
  return json;
}

Json event_json(const v1::JobEvent& event) {
  Json json = {{"revision", event.revision()}, {"time", time_text(event.time())}};
  switch (event.event_case()) {
    case v1::JobEvent::kState:
      add_event(event.state(), json);
      break;
    case v1::JobEvent::kLeased:
      add_event(event.leased(), json);
      break;
    case v1::JobEvent::kStage:
      add_event(event.stage(), json);
      break;
    case v1::JobEvent::kCommitted:
      add_event(event.committed(), json);
      break;
    case v1::JobEvent::kLost:
      add_event(event.lost(), json);
      break;
    case v1::JobEvent::kAssembled:
      add_event(event.assembled(), json);
      break;
    case v1::JobEvent::EVENT_NOT_SET:
      // A newer coordinator's kind of event: its revision still tells that nothing was missed.
      json["event"] = "unknown";
      break;
  }
  return json;
}

Json report_json(const v1::Report& report) {
  Json json = job_json(report.job());
  json["seconds"] = report.seconds();
  json["resumed_layers"] = report.resumed_layers();
  json["computed_layers"] = report.computed_layers();
  json["fallbacks"] = report.fallbacks();
  json["output_bytes"] = report.output_bytes();
  if (report.has_perplexity()) {
    json["perplexity"] = report.perplexity();
    json["perplexity_tokens"] = report.perplexity_tokens();
  }
  json["serving_modes"] = strings(report.serving_modes());
  json["phases"] = phases_json(report.phases());
  json["modules"] = Json::array();
  for (const v1::LayerReport& layer : report.layers()) {
    for (const v1::ModuleReport& module : layer.modules()) {
      json["modules"].push_back(module_json(module));
    }
  }
  return json;
}

}  // namespace rotor::cli
