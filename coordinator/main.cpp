// rotor-coordinator: parses its options, serves until SIGTERM or SIGINT.
#include <pthread.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <string_view>

#include "coordinator/access/make_token.h"
#include "coordinator/observe/json_log.h"
#include "coordinator/options.h"
#include "coordinator/server.h"
#include "proto/transport/plain_log.h"
#include "quant/base/exit_codes.h"

namespace rotor::coordinator {
namespace {

int fail(const Status& status) {
  std::fprintf(stderr, "rotor-coordinator: %s\n", status.message().c_str());
  // What was asked for cannot be had on this machine as it is: an operator's matter.
  return kExitConfiguration;
}

int run(int argc, const char* const* argv) {
  if (argc > 1 && std::string_view(argv[1]) == "make-token") {
    return make_token(argc - 1, argv + 1);
  }
  const ParsedCommandLine parsed = parse_command_line(argc, argv);
  if (parsed.exit_code) {
    std::fputs(parsed.text.c_str(), *parsed.exit_code == kExitDone ? stdout : stderr);
    return *parsed.exit_code;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("coordinator"));
  if (parsed.options.log_format == "json") {
    set_json_log();
  } else {
    set_log_pattern("[%Y-%m-%d %H:%M:%S.%e] [%^%l%$] %*");
  }
  spdlog::set_level(spdlog::level::from_str(parsed.options.log_level));
  const Result<CoordinatorOptions> options = check_options(parsed.options);
  if (!options.ok()) {
    return fail(options.status());
  }

  // Blocked before any thread starts, so that all inherit it and sigwait below gets the signal.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const SystemClock clock;
  Result<std::unique_ptr<Server>> server = Server::start(posix_file_system(), clock, *options);
  if (!server.ok()) {
    return fail(server.status());
  }
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("stopping on signal {}", signal);
  (*server)->stop();
  return kExitDone;
}

}  // namespace
}  // namespace rotor::coordinator

int main(int argc, char** argv) {
  return rotor::coordinator::run(argc, argv);
}
