#include "coordinator/jobs/reasons.h"

#include <algorithm>
#include <array>

namespace rotor::coordinator {
namespace {

constexpr std::array<std::string_view, 3> kChanged = {kSourceChanged, kSourceUnreadable,
                                                      "CALIBRATION_CHANGED"};
// These are about the source only where they name one of its files.
constexpr std::array<std::string_view, 7> kOfFiles = {
    "FILE_NOT_FOUND", "FILE_TRUNCATED", "IO_ERROR",       "PERMISSION_DENIED",
    "NO_WEIGHTS",     "BAD_INDEX",      "BAD_SAFETENSORS"};

bool is_source_file(const JobRecord& job, const std::string& path) {
  const auto is_path = [&](const InputFile& input) { return input.path == path; };
  return path == job.model_path || path.rfind(job.model_path + "/", 0) == 0 ||
         std::any_of(job.inputs.begin(), job.inputs.end(), is_path);
}

template <size_t kSize>
bool is_one_of(const std::array<std::string_view, kSize>& reasons, const std::string& reason) {
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

}  // namespace

bool is_output_blocked(std::string_view reason) {
  return reason == kOutputExists || reason == kNotThisJobs;
}

bool is_source_reason(std::string_view reason) {
  return reason == kSourceUnreadable || reason == kSourceChanged;
}

bool concerns_source(const JobRecord& job, const Status& cause) {
  const auto file = cause.details().find("file");
  return is_one_of(kChanged, cause.reason()) ||
         (is_one_of(kOfFiles, cause.reason()) && file != cause.details().end() &&
          is_source_file(job, file->second));
}

}  // namespace rotor::coordinator
