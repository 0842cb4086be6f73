// Which exit code an error ends `rotor` with: the one table of reasons, over the table of codes
// that all programs share. Thread-safe; never fails.
#pragma once

#include "quant/base/exit_codes.h"
#include "quant/base/status.h"

namespace rotor::cli {

// Reasons that this program gives itself; those of the coordinator pass through unchanged.
inline constexpr char kReasonUsage[] = "USAGE";
inline constexpr char kReasonUnreachable[] = "UNREACHABLE";
inline constexpr char kReasonInterrupted[] = "INTERRUPTED";
inline constexpr char kReasonJobFailed[] = "JOB_FAILED";
inline constexpr char kReasonJobCancelled[] = "JOB_CANCELLED";
inline constexpr char kReasonMissingProgram[] = "MISSING_PROGRAM";
inline constexpr char kReasonConfiguration[] = "WRONG_CONFIGURATION";
inline constexpr char kReasonAlreadyRunning[] = "ALREADY_RUNNING";
inline constexpr char kReasonNoProgress[] = "NO_PROGRESS";
inline constexpr char kReasonInvalidCheckpoint[] = "INVALID_CHECKPOINT";

/// The reason decides where the table has it, else the code; kExitDone for an OK status.
int exit_code(const Status& status);

}  // namespace rotor::cli
