// What the job of one `rotor quantize` is calibrated on: the files that were named, or, where no
// coordinator reads those, token ids that are made of them in the state directory. These are made
// once: a job that stands keeps its own, whatever has become of the data.
//
// A prepared file is called OPTIONS-CONTENT.jsonl. OPTIONS is a digest of the spec's files and
// seed; what else decides windows stays in the spec. CONTENT is one of the bytes of the data.
//
// Thread-safety: the calling thread's. Errors: those of prepare_calibration; of reading the data.
#pragma once

#include <functional>
#include <optional>

#include "ops/cli/console.h"
#include "ops/cli/state_dir.h"
#include "rotor/v1/job.pb.h"

namespace rotor::cli {

/// The spec to submit: it names what was prepared, and has no seed any more. Beside an `earlier`
/// job nothing is prepared but what that job lacks: where options or data are others than its own,
/// the name alone differs, and the coordinator tells so.
Result<v1::JobSpec> prepare_for_job(v1::JobSpec spec, const std::optional<v1::Job>& earlier,
                                    const StateDir& state, const std::function<bool()>& stopped,
                                    Console& console);

/// The same for a plan that becomes no job: remove_plan_calibration() takes its file away.
Result<v1::JobSpec> prepare_for_plan(v1::JobSpec spec, const StateDir& state,
                                     const std::function<bool()>& stopped, Console& console);
void remove_plan_calibration(const StateDir& state);

}  // namespace rotor::cli
