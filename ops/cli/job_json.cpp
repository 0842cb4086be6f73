#include "ops/cli/job_json.h"

#include <nlohmann/json.hpp>

#include "proto/enum_names.h"

namespace rotor::cli {

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
  if (!job.owner().empty()) {
    json["owner"] = job.owner();
  }
  if (job.has_seconds_left()) {
    json["seconds_left"] = job.seconds_left();
    json["tokens_per_second"] = job.tokens_per_second();
  }
  if (job.has_cause()) {
    json["cause"] = cause_json(job.cause());
  }
  if (job.has_estimate()) {
    json["estimate"] = message_json(job.estimate());
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
  const auto* kind = v1::JobEvent::descriptor()->FindOneofByName("event");
  const auto* reflection = event.GetReflection();
  if (const auto* field = reflection->GetOneofFieldDescriptor(event, kind)) {
    json["event"] = field->name();
    json.update(message_json(reflection->GetMessage(event, field)));
  } else {
    // A newer coordinator's kind of event: its revision still tells that nothing was missed.
    json["event"] = "unknown";
  }
  return json;
}

Json report_json(const v1::Report& report) {
  Json json = job_json(report.job());
  v1::Report rest = report;
  rest.clear_job();
  rest.clear_layers();
  Json fields = message_json(rest);
  fields.erase("layers");  // their number is the job's, their modules follow
  json.update(fields);
  json["modules"] = Json::array();
  for (const v1::LayerReport& layer : report.layers()) {
    for (const v1::ModuleReport& module : layer.modules()) {
      json["modules"].push_back(message_json(module));
    }
  }
  return json;
}

}  // namespace rotor::cli
