// The pipeline's results as messages of rotor.v1.
#pragma once

#include <vector>

#include "rotor/v1/groups.pb.h"
#include "rotor/v1/job.pb.h"
#include "worker/comm/rank_table.h"
#include "worker/pipeline/results.h"

namespace rotor::worker {

v1::ModuleReport to_report(const ModuleResult& result);
v1::LayerReport to_report(const LayerResult& result);
/// By rank, from 0 on.
std::vector<v1::RankState> to_states(const std::vector<RankStatus>& ranks);

}  // namespace rotor::worker
