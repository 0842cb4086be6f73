#include "coordinator/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

#include "quant/base/exit_codes.h"

namespace rotor::coordinator {
namespace {

constexpr char kVersion[] = "rotor-coordinator 0.1.0";

Status bad_configuration(const std::string& option, const std::string& value,
                         const std::string& what) {
  return failed_precondition("--" + option + " " + value + ": " + what)
      .with_reason("BAD_CONFIGURATION")
      .with_detail("option", option)
      .with_detail("value", value);
}

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
  app.add_option("--log-level", options.log_level, "What is logged to stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical", "off"}))
      ->capture_default_str();
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
  const size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == options.listen.size()) {
    return bad_configuration("listen", options.listen, "give HOST:PORT, for example 0.0.0.0:7470");
  }
  // gRPC would take a larger number modulo 65536.
  const std::string port = options.listen.substr(colon + 1);
  if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(port) > 65535) {
    return bad_configuration("listen", options.listen, "the port is a number from 0 to 65535");
  }
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
  return options;
}

}  // namespace rotor::coordinator
