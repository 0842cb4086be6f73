// Jobs, events and reports as the JSON that scripts read. Keys are part of the contract of the
// command line: they are added to, never renamed. Pure functions, thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "rotor/v1/jobs.pb.h"

namespace rotor::cli {

using Json = nlohmann::ordered_json;

/// "2026-01-31T12:00:00Z"; empty for a time that is not set.
std::string time_text(const google::protobuf::Timestamp& time);

Json cause_json(const v1::Cause& cause);
Json module_json(const v1::ModuleReport& module);
/// Every setting of a job, with the names of the command line's values.
Json spec_json(const v1::JobSpec& spec);
/// job, state, output, layers, committed_layers, revision, times, cause, spec; estimate and
/// problems where the coordinator gave them.
Json job_json(const v1::Job& job);
/// revision, time, event ("state", "leased", "stage", "committed", "lost", "assembled") and its
/// values.
Json event_json(const v1::JobEvent& event);
/// job, state, output, seconds, resumed_layers, computed_layers, fallbacks, modules, phases,
/// perplexity where it was measured, and what else the report holds.
Json report_json(const v1::Report& report);

}  // namespace rotor::cli
