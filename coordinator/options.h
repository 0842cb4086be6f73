// Every setting of rotor-coordinator, with its default, in one struct.
//
// Thread-safety: a plain value. Errors: INVALID_ARGUMENT with reason USAGE (wrong usage) or
// FAILED_PRECONDITION with reason BAD_CONFIGURATION (a directory that is missing or cannot be
// used).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::coordinator {

struct CoordinatorOptions {
  std::string state_dir;                  // made if missing; one coordinator at a time owns it
  std::string listen = "127.0.0.1:7470";  // HOST:PORT; port 0 takes a free one
  std::string port_file;                  // the port as text, written atomically once serving
  std::string model_root;                 // models are read below it
  std::vector<std::string> data_roots;    // calibration files are read below these or model_root
  std::string output_root;                // checkpoints are made below it
  double lease_seconds = 20.0;            // silence after which a lease is given away
  double heartbeat_seconds = 3.0;         // how often a worker group reports itself
  int most_lost_leases = 5;               // of a job in a row, without a commit, until it is paused
  double progress_seconds = 7200.0;       // without progress, heartbeats do not hold a lease
  double retain_seconds = 0.0;            // that a job is kept after its end; 0: for good
  std::string log_format = "text";        // text or json
  std::string audit_log;                  // file that audit lines are added to; empty: none
  std::string metrics_listen;             // HOST:PORT of the Prometheus endpoint; empty: none
  std::string status_listen;              // HOST:PORT of the status page; empty: none
  std::string log_level = "info";         // trace, debug, info, warning, error, critical, off

  // Who gets in; files are PEM, and watched.
  std::string worker_listen;  // HOST:PORT for workers alone; empty: they share `listen`
  std::string tls_cert;       // empty: no TLS
  std::string tls_key;
  std::string tls_client_ca;  // who vouches for client certificates; empty: none are wanted
  std::string tokens;         // coordinator/access/token_table.h; empty: no tokens
  bool insecure = false;      // consent to what check_listeners() refuses
  bool reflection = false;    // tell whoever can connect what the API looks like
};

/// What the command line asked for: options, or a text to print and an exit code (--help, --version
/// and wrong usage).
struct ParsedCommandLine {
  CoordinatorOptions options;
  std::optional<int> exit_code;
  std::string text;
};

ParsedCommandLine parse_command_line(int argc, const char* const* argv);

/// Checks the values against each other and the directories against the file system; makes
/// state_dir. Paths come back absolute and without symlinks.
Result<CoordinatorOptions> check_options(CoordinatorOptions options);

/// The part of it that says who can connect: addresses, and that TLS and tokens or client
/// certificates stand before every address that other hosts can reach.
Status check_listeners(const CoordinatorOptions& options);

/// FAILED_PRECONDITION, BAD_CONFIGURATION: what is wrong with the value of --`option`.
Status bad_configuration(const std::string& option, const std::string& value,
                         const std::string& what);

/// FAILED_PRECONDITION, LISTEN_FAILED: --`option` cannot be had; `why` may be empty.
Status listen_failed(const std::string& option, const std::string& address, const std::string& why);

}  // namespace rotor::coordinator
