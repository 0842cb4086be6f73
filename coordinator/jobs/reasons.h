// What the core makes of the reasons for which a job pauses (proto/pause_reasons.h).
//
// Thread-safety: constants and pure functions.
#pragma once

#include <string_view>

#include "coordinator/store/records.h"
#include "proto/pause_reasons.h"
#include "quant/base/status.h"

namespace rotor::coordinator {

/// Whether something that the job did not make is where its checkpoint goes.
bool is_output_blocked(std::string_view reason);

/// Whether the source is not what the job began with, or out of sight.
bool is_source_reason(std::string_view reason);

/// Whether an error is about a file that the job reads: gone, closed to the reader, cut short,
/// changed, or on a disk that fails. Worth a second look before the job is given up.
bool concerns_source(const JobRecord& job, const Status& cause);

}  // namespace rotor::coordinator
