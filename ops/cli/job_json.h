// Jobs, events and reports as the JSON that scripts read. Keys are part of the contract of the
// command line: they are added to, never renamed. Pure functions, thread-safe.
#pragma once

#include "proto/json.h"
#include "rotor/v1/jobs.pb.h"

namespace rotor::cli {

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
