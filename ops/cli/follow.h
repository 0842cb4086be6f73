// A job on its way to its end, and what its end means for the exit code. Thread-safety: one thread.
#pragma once

#include "ops/cli/client.h"
#include "ops/cli/console.h"

namespace rotor::cli {

/// OK for a job that succeeded or has not ended; else its cause under reason JOB_FAILED or
/// JOB_CANCELLED.
Status job_outcome(const v1::Job& job);

/// Prints a job; exit code 0.
int show_job(Console& console, const v1::Job& job);
/// Prints what validate_only gave; problems make it invalid input.
int show_plan(Console& console, const v1::Job& job);

/// Prints a job that has ended with its report, and its cause as an error; returns the exit code.
int finish_job(Console& console, const v1::Report& report, bool all);

/// submit --wait and watch: shows a job's events from `from_revision` on (on stdout as well where
/// the format is JSON lines) until it has ended. SIGINT leaves the job running: reason INTERRUPTED.
Status wait_for_job(const Endpoint& coordinator, double timeout_seconds, Console& console,
                    const v1::Job& job, int64_t from_revision);

}  // namespace rotor::cli
