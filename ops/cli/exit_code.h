// The exit codes of `rotor`, part of its contract with scripts, and the one table that maps errors
// to them. Thread-safe; never fails.
#pragma once

#include "quant/base/status.h"

namespace rotor::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;          // the job failed, or the program did
inline constexpr int kExitUsage = 2;           // wrong usage or invalid input
inline constexpr int kExitUnreachable = 69;    // coordinator out of reach
inline constexpr int kExitInterrupted = 75;    // stopped, and the same command goes on from there
inline constexpr int kExitConfiguration = 78;  // this machine or service is set up wrongly

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
