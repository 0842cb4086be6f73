// `rotor quantize` from its options to its exit code: a private coordinator, the job under one
// fixed request id (so that the same command goes on where it was stopped), a gang, supervision,
// the report.
#pragma once

#include <functional>
#include <string>

#include "ops/cli/console.h"
#include "ops/cli/options.h"

namespace rotor::cli {

/// The programs it starts, as paths.
struct Programs {
  std::string coordinator;
  std::string worker;
  std::string mpirun;
};

/// MISSING_PROGRAM with the remedy where one is not found.
Result<Programs> find_programs();

struct QuantizeOptions {
  JobOptions job;
  LocalOptions local;
  bool all = false;  // every module in the table
  bool validate_only = false;
};

/// What a private coordinator makes of the job: its plan, estimates and problems. Nothing is kept
/// but the state directory, where the user named one.
Result<v1::Job> plan_job(const QuantizeOptions& options, const Programs& programs,
                         const std::function<int()>& stop_count, Console& console);

/// The spec's paths are absolute (finish_job_spec). `stop_count`: how many stop signals have come
/// (signals.h).
int quantize(const QuantizeOptions& options, const Programs& programs,
             const std::function<int()>& stop_count, Console& console);

}  // namespace rotor::cli
