#include "ops/cli/worker_answer.h"

#include <utility>

#include "ops/cli/executables.h"
#include "ops/cli/process.h"
#include "quant/base/status_json.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::ordered_json;

/// What it says on stdout that went wrong; its end, where it could not say anything.
Status failure(const ExitStatus& status, const Json& answer, const std::string& what) {
  if (answer.is_object() && answer.contains("error")) {
    if (Status error = error_from_json(answer["error"]); !error.ok()) {
      return error;
    }
  }
  return internal_error(what + " failed: rotor-worker ended with " + status.text())
      .with_detail("remedy", "see what it wrote to stderr");
}

Result<Captured> run(const std::vector<std::string>& arguments) {
  ROTOR_ASSIGN_OR_RETURN(const std::string worker, find_sibling("rotor-worker"));
  std::vector<std::string> argv = {worker};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_captured(argv);
}

}  // namespace

WorkerAnswer ask_worker(const std::vector<std::string>& arguments, const std::string& what,
                        const std::string& key) {
  const Result<Captured> captured = run(arguments);
  if (!captured.ok()) {
    return {{}, captured.status(), {}};
  }
  Json result = Json::parse(captured->out, nullptr, false);
  const ExitStatus& ended = captured->status;
  if (!ended.success()) {
    return {{},
            failure(ended, result, what),
            ended.signaled ? std::nullopt : std::optional<int>(ended.code)};
  }
  if (!result.is_object() || !result.contains(key)) {
    return {{}, internal_error("rotor-worker gave no result: '" + captured->out + "'"), {}};
  }
  return {std::move(result), {}, {}};
}

}  // namespace rotor::cli
