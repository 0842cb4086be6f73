// The exit codes of all programs of Rotor: a contract with scripts (design.md section 6).
#pragma once

#include "quant/base/status.h"

namespace rotor {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;          // the job failed, or the program did
inline constexpr int kExitUsage = 2;           // wrong usage or invalid input
inline constexpr int kExitUnreachable = 69;    // coordinator out of reach
inline constexpr int kExitInterrupted = 75;    // stopped, and the same command goes on from there
inline constexpr int kExitConfiguration = 78;  // this machine or service is set up wrongly

/// What an error of this code ends a program with; kExitDone for kOk.
int exit_code_of(Code code);

}  // namespace rotor
