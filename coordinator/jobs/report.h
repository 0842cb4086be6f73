// A job's report from what the store knows.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "coordinator/store/records.h"

namespace rotor::coordinator {

/// `now_us`, as JobRecord::steady_us, ends leases that are still running.
v1::Report build_report(const JobRecord& record, const std::vector<LayerRecord>& layers,
                        const std::vector<LeaseRecord>& leases, int64_t now_us);

}  // namespace rotor::coordinator
