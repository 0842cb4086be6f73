// The pipeline's results as messages of rotor.v1.
#pragma once

#include <vector>

#include "rotor/v1/job.pb.h"
#include "worker/pipeline/results.h"

namespace rotor::worker {

v1::ModuleReport to_report(const ModuleResult& result);
v1::LayerReport to_report(const LayerResult& result);

}  // namespace rotor::worker
