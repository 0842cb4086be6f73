#include "ops/cli/options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "ops/cli/value_or_throw.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

/// The type name of an option says its choices already; CLI11 would add them again.
CLI::Validator quiet(const CLI::Validator& validator) {
  return validator.description("");
}

/// What is wrong with an address of a coordinator, in CLI11's way; empty: nothing.
std::string address_fault(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  const bool is_port = !port.empty() && port.size() <= 5 &&
                       port.find_first_not_of("0123456789") == std::string::npos;
  if (address.starts_with("http://") || address.starts_with("https://") || !is_port || colon == 0) {
    return "'" + address + "' is no HOST:PORT, as 127.0.0.1:7470 or [::1]:7470";
  }
  return "";
}

const std::map<std::string, OutputFormat>& output_formats() {
  static const std::map<std::string, OutputFormat> formats = {{"human", OutputFormat::kHuman},
                                                              {"json", OutputFormat::kJson},
                                                              {"jsonl", OutputFormat::kJsonLines}};
  return formats;
}

}  // namespace

void add_output_options(CLI::App& command, OutputOptions& options) {
  command
      .add_option_function<std::string>(
          "-o,--output-format",
          [&options](const std::string& name) { options.format = output_formats().at(name); },
          "What goes to stdout: text for people, one JSON object, or (quantize, watch) "
          "JSON lines")
      ->check(quiet(CLI::IsMember({"human", "json", "jsonl"})))
      ->type_name("human|json|jsonl")
      ->group("Output");
  command
      .add_flag_callback(
          "--json", [&options] { options.format = OutputFormat::kJson; }, "The same as -o json")
      ->group("Output");
}

void add_service_options(CLI::App& command, ServiceOptions& options) {
  command.add_option("--coordinator", options.coordinator.address, "Address of the coordinator")
      ->envname("ROTOR_COORDINATOR")
      ->check(quiet(CLI::Validator(address_fault, "")))
      ->type_name("HOST:PORT")
      ->capture_default_str()
      ->group("Service");
  command
      .add_option("--timeout", options.timeout_seconds,
                  "Seconds to wait for a coordinator that does not answer")
      ->check(quiet(CLI::Range(0.1, 86400.0)))
      ->type_name("SECONDS")
      ->capture_default_str()
      ->group("Service");
  add_security_options(command, options.coordinator.security);
}

void add_job_argument(CLI::App& command, std::string& job) {
  command.add_option("job", job, "Name of the job: jobs/ID, its ID, or the beginning of the ID")
      ->required()
      ->type_name("JOB");
}

void add_local_options(CLI::App& command, LocalOptions& options) {
  command.add_option("--ranks", options.ranks, "Processes of the gang")
      ->check(quiet(CLI::Range(1, 1024)))
      ->type_name("N")
      ->capture_default_str()
      ->group("Local run");
  command
      .add_option("--ranks-per-group", options.ranks_per_group,
                  "Cut the gang into worker groups of N ranks (default: one group)")
      ->check(quiet(CLI::Range(1, 1024)))
      ->type_name("N")
      ->group("Local run");
  command
      .add_option("--threads", options.threads,
                  "Threads of a rank (default: the cores shared out over the ranks)")
      ->check(quiet(CLI::Range(1, 4096)))
      ->type_name("N")
      ->group("Local run");
  command.add_option("--device", options.device, "Where to compute")
      ->check(quiet(CLI::IsMember({"auto", "cpu", "cuda"})))
      ->type_name("auto|cpu|cuda")
      ->capture_default_str()
      ->group("Local run");
  command
      .add_option_function<std::string>(
          "--device-memory",
          [&options](const std::string& text) {
            options.device_memory = value_or_throw("--device-memory", parse_size(text));
          },
          "Memory of its device that a rank may take, as 20GB (default: all)")
      ->type_name("SIZE")
      ->group("Local run");
  command
      .add_option("--state-dir", options.state_dir,
                  "Where the job's state is kept (default: .NAME.rotor beside the output NAME)")
      ->type_name("DIR")
      ->group("Local run");
  command
      .add_flag("--restart", options.restart,
                "Forget the state of an earlier run on this output and begin anew")
      ->group("Local run");
}

void add_eval_options(CLI::App& command, EvalOptions& options) {
  command
      .add_option("--losses", options.losses,
                  "Write the loss of every predicted token, in nats, to this file (.npy, F32 "
                  "[windows, seq-len - 1])")
      ->type_name("FILE");
  CLI::Option* against =
      command
          .add_option("--against", options.against,
                      "Source model: tells how far the predictions are from its own (KL divergence "
                      "and how often both predict the same token)")
          ->type_name("DIR");
  command
      .add_option("--divergences", options.divergences,
                  "Write the KL divergence of every predicted token to this file (as --losses)")
      ->type_name("FILE")
      ->needs(against);
  command.add_option("directory", options.directory, "Original or quantized checkpoint")
      ->required()
      ->type_name("DIR");
  command.add_option("--text", options.texts, "Text to evaluate on; may be given again")
      ->required()
      ->type_name("FILE");
  command.add_option("--sequences", options.sequences, "Windows at most (default: all)")
      ->check(quiet(CLI::Range(int64_t{1}, int64_t{1} << 40)))
      ->type_name("N");
  command.add_option("--seq-len", options.seq_len, "Tokens of a window (default: 2048)")
      ->check(quiet(CLI::Range(int64_t{2}, int64_t{1} << 24)))
      ->type_name("N");
  command.add_option("--device", options.device, "Where to compute")
      ->check(quiet(CLI::IsMember({"auto", "cpu", "cuda"})))
      ->type_name("auto|cpu|cuda")
      ->capture_default_str();
  command.add_option("--threads", options.threads, "Threads (default: all cores)")
      ->check(quiet(CLI::Range(1, 4096)))
      ->type_name("N");
}

}  // namespace rotor::cli
