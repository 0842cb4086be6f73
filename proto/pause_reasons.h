// Why a job pauses, as Cause.reason has it, and who lets it go on: what the coordinator decides by
// and the command line reads.
//
// Thread-safety: constants and a pure function.
#pragma once

#include <string_view>

namespace rotor {

inline constexpr char kDiskFull[] = "DISK_FULL";
inline constexpr char kSourceUnreadable[] = "SOURCE_UNREADABLE";
inline constexpr char kSourceChanged[] = "SOURCE_CHANGED";
inline constexpr char kTooManyFallbacks[] = "TOO_MANY_FALLBACKS";
inline constexpr char kLeasesLost[] = "LEASES_LOST";
inline constexpr char kPausedByUser[] = "PAUSED_BY_USER";
inline constexpr char kNotDeterministic[] = "NOT_DETERMINISTIC";
inline constexpr char kOutputExists[] = "OUTPUT_EXISTS";
inline constexpr char kNotThisJobs[] = "NOT_THIS_JOBS";

/// Whether a job that pauses for it goes on without anybody's order.
constexpr bool resumes_by_itself(std::string_view reason) {
  return reason == kDiskFull || reason == kSourceUnreadable;
}

}  // namespace rotor
