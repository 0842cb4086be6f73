// rotor-worker: one rank of a worker group, started by mpirun; or the evaluation of a checkpoint,
// or the analysis of a model.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "proto/transport/plain_log.h"
#include "quant/base/exit_codes.h"
#include "quant/base/status_json.h"
#include "worker/comm/mpi_environment.h"
#include "worker/program/analyze_command.h"
#include "worker/program/device.h"
#include "worker/program/eval_command.h"
#include "worker/rpc/drain.h"
#include "worker/rpc/group_loop.h"

namespace rotor::worker {
namespace {

struct WorkerOptions {
  GroupOptions group;
  int group_size = 0;  // 0: all ranks are one group
  DeviceOptions device;
  std::string log_level = "info";
  EvalOptions eval;
  AnalyzeOptions analyze;
};

int fail(const Status& status) {
  spdlog::error("{}", status.to_string());
  return exit_code_of(status.code());
}

int run_worker(const WorkerOptions& options) {
  Drain drain;  // before MPI makes its threads: they inherit the blocked signals
  const MpiEnvironment mpi;
  set_log_pattern("%Y-%m-%d %H:%M:%S.%e [rank " + std::to_string(mpi.world_rank()) + "] %l: %*");
  Result<RankSetup> rank = set_up_rank(mpi, options.device, options.group_size);
  if (!rank.ok()) {
    const int code = fail(rank.status());
    // What NCCL stumbled over may be gone at the next start, a wrong number of ranks is the
    // caller's.
    const std::string& reason = rank.status().reason();
    return reason == "BAD_GROUP_SIZE" || reason == "NCCL_ERROR" ? code : kExitConfiguration;
  }
  return run_group(*rank->backend, *rank->group, options.group, drain);
}

/// The caller, `rotor eval` or `rotor analyze`, reads the error where the result would have been.
int tell_error(const Status& status, int code) {
  using Json = nlohmann::ordered_json;
  // Paths need not be UTF-8.
  const std::string text =
      Json{{"error", error_json(status)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
  return code;
}

/// Runs a model in this process, without a group.
template <typename Options>
int run_alone(const DeviceOptions& device, const Options& options,
              Status (*run)(Backend&, const Options&)) {
  Result<std::unique_ptr<Backend>> backend = make_backend(device, 0, 1);
  if (!backend.ok()) {
    return tell_error(backend.status(), kExitConfiguration);
  }
  const Status status = run(**backend, options);
  return status.ok() ? kExitDone : tell_error(status, exit_code_of(status.code()));
}

CLI::App* add_eval(CLI::App& app, EvalOptions& options) {
  CLI::App* eval = app.add_subcommand("eval", "Perplexity of a checkpoint directory, as JSON");
  eval->fallthrough();
  eval->add_option("DIR", options.directory, "Original or quantized checkpoint")->required();
  eval->add_option("--text", options.files, "Text, .jsonl or .json file")->required();
  eval->add_option("--sequences", options.sequences, "Windows at most; 0: all")
      ->check(CLI::NonNegativeNumber);
  eval->add_option("--seq-len", options.seq_len, "Tokens a window")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 20));
  eval->add_option("--losses", options.losses,
                   "File to write every token's loss to (.npy, F32 [windows, seq_len - 1])");
  CLI::Option* against = eval->add_option("--against", options.against,
                                          "Source model to compare the predictions with");
  eval->add_option("--divergences", options.divergences,
                   "File to write every token's KL divergence to (.npy, as --losses)")
      ->needs(against);
  return eval;
}

CLI::App* add_analyze(CLI::App& app, AnalyzeOptions& options) {
  CLI::App* analyze =
      app.add_subcommand("analyze", "Figures of a model before it is quantized, as JSON");
  analyze->fallthrough();
  analyze->add_option("DIR", options.directory, "Model")->required();
  analyze->add_option("--windows", options.windows, "JSON lines with input_ids")->required();
  analyze->add_option("--sequences", options.sequences, "Windows, the first of the file")
      ->check(CLI::PositiveNumber);
  analyze->add_option("--seq-len", options.seq_len, "Tokens a window")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 20));
  analyze->add_option("--layers", options.layers, "Layers to look at; none: all")->delimiter(',');
  analyze->add_flag("--no-timing", options.no_timing,
                    "Do not quantize a layer to measure the time");
  return analyze;
}

int main(int argc, char** argv) {
  WorkerOptions options;
  CLI::App app("One rank of a Rotor worker group; start it with mpirun -n RANKS rotor-worker ...");
  app.set_version_flag("--version", ROTOR_VERSION);
  app.add_option("--coordinator", options.group.coordinator.address, "Coordinator, HOST:PORT")
      ->envname("ROTOR_COORDINATOR");
  add_security_options(app, options.group.coordinator.security);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "TOML file with any of these options, named without their dashes");
  app.add_option("--group-size", options.group_size,
                 "Ranks that process a layer together; 0: all of them")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--reconnect-seconds", options.group.reconnect_seconds,
                 "Give up after so long without a coordinator; 0: never")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--device", options.device.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--threads", options.device.threads,
                 "CPU threads a rank; 0: its share of the cores")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--device-memory", options.device.memory_limit,
                 "Memory of its device that a rank may take, as 20GB; 0: all")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  const CLI::App* eval = add_eval(app, options.eval);
  const CLI::App* analyze = add_analyze(app, options.analyze);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("rotor-worker"));
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  if (eval->parsed()) {
    return run_alone(options.device, options.eval, run_eval);
  }
  if (analyze->parsed()) {
    options.analyze.threads = options.device.threads;
    return run_alone(options.device, options.analyze, run_analyze);
  }
  if (options.group.coordinator.address.empty()) {
    spdlog::error("--coordinator HOST:PORT is required");
    return kExitUsage;
  }
  return run_worker(options);
}

}  // namespace
}  // namespace rotor::worker

int main(int argc, char** argv) {
  return rotor::worker::main(argc, argv);
}
