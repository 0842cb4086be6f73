#include "ops/cli/report_source.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "ops/cli/client.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/paths.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/inspect.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostBytes = int64_t{1} << 30;  // of a report: 100,000 experts have 40 MB

Result<Json> read_json(const std::string& path, const char* reason) {
  ROTOR_ASSIGN_OR_RETURN(const std::string text,
                         read_whole_file(posix_file_system(), path, kMostBytes));
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return invalid_argument(path + " is no JSON").with_reason(reason);
  }
  return json;
}

}  // namespace

Result<ReportFacts> facts_of_checkpoint(const std::string& directory) {
  ROTOR_ASSIGN_OR_RETURN(const auto checkpoint,
                         CheckpointReader::open(posix_file_system(), directory));
  int64_t bytes = 0;
  for (const TensorSpec& tensor : checkpoint->tensors()) {
    bytes += tensor.byte_size();
  }
  const std::string path = join_path(directory, kReportName);
  ROTOR_ASSIGN_OR_RETURN(const bool there, path_exists(posix_file_system(), path));
  if (!there) {
    return invalid_argument(directory + " has no " + kReportName +
                            ": it is no checkpoint of Rotor's. `rotor inspect` shows what it is")
        .with_reason("NO_REPORT");
  }
  ROTOR_ASSIGN_OR_RETURN(const Json file, read_json(path, "BAD_REPORT"));
  const std::filesystem::path last = std::filesystem::absolute(directory).lexically_normal();
  return report_facts((last.has_filename() ? last : last.parent_path()).filename().string(), file,
                      bytes);
}

Result<ReportFacts> facts_of(const std::string& what, const ServiceOptions& service) {
  if (is_directory(what)) {
    return facts_of_checkpoint(what);
  }
  JobsClient client(service.coordinator, service.timeout_seconds);
  ROTOR_ASSIGN_OR_RETURN(const std::string name, client.find(what));
  ROTOR_ASSIGN_OR_RETURN(const v1::Report report, client.report(name));
  return report_facts(report);
}

Status add_evaluation_file(const std::string& path, ReportFacts* facts) {
  ROTOR_ASSIGN_OR_RETURN(const Json evaluation, read_json(path, "BAD_EVALUATION"));
  return add_evaluation(evaluation, facts).with_context(path);
}

int write_page(const std::string& path, const std::string& page, Console& console) {
  const Status written = write_file_atomically(posix_file_system(), path, page);
  if (!written.ok()) {
    return console.fail(written);
  }
  if (console.json()) {
    console.write_json({{"html", path}});
  } else {
    console.out() << path << std::endl;
  }
  return kExitDone;
}

}  // namespace rotor::cli
