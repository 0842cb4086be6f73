// Every option of every command: its default here, its name, allowed values and help text in
// options.cpp and job_options.cpp. Plain values, filled in by CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/cli/console.h"
#include "proto/transport/client_security.h"
#include "rotor/v1/job.pb.h"

namespace CLI {
class App;
}

namespace rotor::cli {

/// Of every command.
struct OutputOptions {
  OutputFormat format = OutputFormat::kHuman;
};

/// Of the commands that talk to a coordinator.
struct ServiceOptions {
  Endpoint coordinator = "127.0.0.1:7470";  // $ROTOR_COORDINATOR goes before this
  double timeout_seconds = 10;
};

/// Of quantize and submit. What the user did not give stays unset: the coordinator fills it in, so
/// a recipe's defaults exist in one place. Only the format has its default in finish_job_spec.
struct JobOptions {
  v1::JobSpec spec;
};

/// Of quantize: the private coordinator and the local gang.
struct LocalOptions {
  int ranks = 1;
  int ranks_per_group = 0;  // 0: all in one group
  int threads = 0;          // a rank; 0: the cores shared out over the ranks
  std::string device = "auto";
  int64_t device_memory = 0;  // bytes of its device's that a rank may take; 0: all
  std::string state_dir;      // empty: .NAME.rotor beside the output directory NAME
  bool restart = false;
};

struct EvalOptions {
  std::string directory;
  std::vector<std::string> texts;
  int64_t sequences = 0;    // 0: all
  int64_t seq_len = 0;      // 0: rotor-worker's default
  std::string losses;       // empty: not written
  std::string against;      // the source to compare with; empty: none
  std::string divergences;  // empty: not written
  std::string device = "auto";
  int threads = 0;
};

void add_output_options(CLI::App& command, OutputOptions& options);
void add_service_options(CLI::App& command, ServiceOptions& options);
/// The one job that a command is about.
void add_job_argument(CLI::App& command, std::string& job);
void add_job_options(CLI::App& command, JobOptions& options);
/// Those alone that say which windows are made of which files.
void add_calibration_options(CLI::App& command, JobOptions& options);
void add_local_options(CLI::App& command, LocalOptions& options);
void add_eval_options(CLI::App& command, EvalOptions& options);

/// Makes the paths of a job absolute against the working directory, and checks what needs no
/// coordinator: INVALID_ARGUMENT where calibration files are missing, naming the option.
Status finish_job_spec(v1::JobSpec& spec);

}  // namespace rotor::cli
