#include "coordinator/options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

#include "quant/base/exit_codes.h"

namespace rotor::coordinator {
namespace {

constexpr char kVersion[] = "rotor-coordinator 0.1.0";

Result<std::string> existing_directory(const std::string& option, const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) {
    return bad_configuration(option, path, error.message() + "; make it or name another directory");
  }
  if (!std::filesystem::is_directory(real, error)) {
    return bad_configuration(option, path, "not a directory");
  }
  return real.string();
}

Status require_writable(const std::string& option, const std::string& path) {
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return bad_configuration(option, path, "not writable by this user; change its owner or mode");
  }
  return {};
}

void add_access_options(CLI::App& app, CoordinatorOptions& options) {
  const auto add = [&app](const char* name, std::string& value, const char* what) {
    app.add_option(name, value, what)->group("Who gets in");
  };
  add("--worker-listen", options.worker_listen,
      "HOST:PORT for workers alone; without it they come to --listen");
  add("--tls-cert", options.tls_cert, "Own certificate chain (PEM); with it connections are TLS");
  add("--tls-key", options.tls_key, "Key (PEM) of --tls-cert");
  add("--tls-client-ca", options.tls_client_ca,
      "Who vouches (PEM) for client certificates, which clients must then show, or a token");
  add("--tokens", options.tokens, "File of who may do what; make-token adds to it");
  app.add_flag("--insecure", options.insecure,
               "Serve other hosts without TLS, or without tokens and client certificates")
      ->group("Who gets in");
  app.add_flag("--reflection", options.reflection,
               "Describe the API to whoever can connect (for grpcurl)")
      ->group("Who gets in");
}

void add_watching_options(CLI::App& app, CoordinatorOptions& options) {
  const auto add = [&app](const char* name, auto& value, const char* what) {
    return app.add_option(name, value, what)->group("What it tells");
  };
  add("--metrics-listen", options.metrics_listen,
      "HOST:PORT of the metrics (Prometheus), under /metrics");
  add("--status-listen", options.status_listen, "HOST:PORT of the status page (a browser)");
  add("--audit-log", options.audit_log,
      "File that gets a line for each call that changes something or is refused, and for each "
      "worker group when its stream ends");
  add("--log-format", options.log_format, "How the log is written")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  add("--log-level", options.log_level, "What is logged to stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical", "off"}))
      ->capture_default_str();
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  ParsedCommandLine parsed;
  CoordinatorOptions& options = parsed.options;
  CLI::App app(
      "Keeps quantization jobs, leases their layers to worker groups and puts the "
      "checkpoints together.",
      "rotor-coordinator");
  app.set_version_flag("--version", kVersion);
  app.add_option("--state-dir", options.state_dir, "Directory of the job store and staged layers")
      ->required();
  app.add_option("--listen", options.listen, "HOST:PORT to serve on; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--port-file", options.port_file, "File that receives the port once serving");
  app.add_option("--model-root", options.model_root, "Models are read below this directory")
      ->required();
  app.add_option("--data-root", options.data_roots,
                 "Calibration files are read below this directory or --model-root; repeatable");
  app.add_option("--output-root", options.output_root, "Checkpoints are made below this directory")
      ->required();
  app.add_option("--lease-seconds", options.lease_seconds,
                 "Silence of a worker group after which its lease is given away")
      ->capture_default_str();
  app.add_option("--heartbeat-seconds", options.heartbeat_seconds,
                 "How often a worker group reports itself")
      ->capture_default_str();
  app.add_option("--max-lost-leases", options.most_lost_leases,
                 "Leases of a job that are lost in a row, without a commit, until it is paused")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option(
         "--progress-seconds", options.progress_seconds,
         "Time without a finished stage, upload or commit after which a lease is given away")
      ->capture_default_str();
  app.add_option("--retain", options.retain_seconds,
                 "How long a job that has ended is kept, as 30d, 12h or 90m (default: for good)")
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}},
          CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION"));
  add_access_options(app, options);
  add_watching_options(app, options);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "TOML file with any of these options, named without their dashes");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    parsed.exit_code = app.exit(error, out, out) == 0 ? kExitDone : kExitUsage;
    parsed.text = out.str();
  }
  return parsed;
}

Result<CoordinatorOptions> check_options(CoordinatorOptions options) {
  if (!(options.heartbeat_seconds > 0.0)) {
    return bad_configuration("heartbeat-seconds", std::to_string(options.heartbeat_seconds),
                             "it must be above 0");
  }
  if (!(options.lease_seconds >= 2.0 * options.heartbeat_seconds)) {
    return bad_configuration("lease-seconds", std::to_string(options.lease_seconds),
                             "it must be at least twice --heartbeat-seconds (" +
                                 std::to_string(options.heartbeat_seconds) + ")");
  }
  if (!(options.progress_seconds >= options.lease_seconds)) {
    return bad_configuration(
        "progress-seconds", std::to_string(options.progress_seconds),
        "it must be at least --lease-seconds (" + std::to_string(options.lease_seconds) + ")");
  }
  if (options.retain_seconds < 0) {
    return bad_configuration("retain", std::to_string(options.retain_seconds) + "s",
                             "it must not be negative");
  }
  ROTOR_RETURN_IF_ERROR(check_listeners(options));
  ROTOR_ASSIGN_OR_RETURN(options.model_root, existing_directory("model-root", options.model_root));
  ROTOR_ASSIGN_OR_RETURN(options.output_root,
                         existing_directory("output-root", options.output_root));
  ROTOR_RETURN_IF_ERROR(require_writable("output-root", options.output_root));
  for (std::string& root : options.data_roots) {
    ROTOR_ASSIGN_OR_RETURN(root, existing_directory("data-root", root));
  }
  std::error_code error;
  std::filesystem::create_directories(options.state_dir, error);
  if (error) {
    return bad_configuration("state-dir", options.state_dir, "cannot make it: " + error.message());
  }
  ROTOR_ASSIGN_OR_RETURN(options.state_dir, existing_directory("state-dir", options.state_dir));
  ROTOR_RETURN_IF_ERROR(require_writable("state-dir", options.state_dir));
  // What lies below it says what everybody's jobs read and write.
  if (::chmod(options.state_dir.c_str(), S_IRWXU) != 0) {
    return bad_configuration("state-dir", options.state_dir,
                             "its mode cannot be made 0700: it must belong to this user");
  }
  return options;
}

}  // namespace rotor::coordinator
