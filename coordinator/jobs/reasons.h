// Why a job pauses, and who lets it go on. Every name that the core decides by is here, so that no
// two places can spell it differently.
//
// Thread-safety: constants and pure functions.
#pragma once

#include <string_view>

#include "coordinator/store/records.h"
#include "quant/base/status.h"

namespace rotor::coordinator {

inline constexpr char kDiskFull[] = "DISK_FULL";
inline constexpr char kSourceUnreadable[] = "SOURCE_UNREADABLE";
inline constexpr char kSourceChanged[] = "SOURCE_CHANGED";
inline constexpr char kLeasesLost[] = "LEASES_LOST";
inline constexpr char kPausedByUser[] = "PAUSED_BY_USER";
inline constexpr char kNotDeterministic[] = "NOT_DETERMINISTIC";

inline constexpr char kOutputExists[] = "OUTPUT_EXISTS";
inline constexpr char kNotThisJobs[] = "NOT_THIS_JOBS";

/// Whether something that the job did not make is where its checkpoint goes.
bool is_output_blocked(std::string_view reason);

/// Whether a job that pauses for it goes on without anybody's order.
bool resumes_by_itself(std::string_view reason);

/// Whether the source is not what the job began with, or out of sight.
bool is_source_reason(std::string_view reason);

/// Whether an error is about a file that the job reads: gone, closed to the reader, cut short,
/// changed, or on a disk that fails. Worth a second look before the job is given up.
bool concerns_source(const JobRecord& job, const Status& cause);

}  // namespace rotor::coordinator
