#include "coordinator/jobs/source_check.h"

#include <algorithm>
#include <vector>

#include "coordinator/jobs/reasons.h"
#include "model/fingerprint.h"
#include "proto/convert.h"
#include "quant/base/sha256.h"

namespace rotor::coordinator {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;

Status source_changed(const JobRecord& job, const std::string& file, std::string difference) {
  if (difference.ends_with('.')) {
    difference.pop_back();  // the remedy follows in the same sentence
  }
  return failed_precondition(job.name() + ": " + difference +
                             "; put it back and resume the job, which keeps what is committed, or "
                             "begin anew: delete the job and submit again (`rotor quantize "
                             "--restart` does both)")
      .with_reason(kSourceChanged)
      .with_detail("job", job.name())
      .with_detail("file", file)
      .with_detail("difference", difference);
}

/// An error of this moment or this process, as against bytes that are wrong.
bool is_out_of_sight(const Status& status) {
  return status.code() == Code::kNotFound || status.code() == Code::kPermissionDenied ||
         status.code() == Code::kUnavailable;
}

Result<std::string> check_model(FileSystem& fs, const JobRecord& job) {
  ROTOR_ASSIGN_OR_RETURN(const ModelFingerprint before, parse_fingerprint(job.source));
  const Result<ModelFingerprint> now = fingerprint_again(fs, job.model_path, before);
  if (!now.ok()) {
    return as_source_error(job, job.model_path, "the model", now.status());
  }
  const std::string difference = describe_difference(before, *now);
  if (!difference.empty()) {
    return source_changed(job, job.model_path,
                          "the model " + job.model_path + " has changed: " + difference);
  }
  return now->portable_digest();
}

Status check_input(FileSystem& fs, const JobRecord& job, const InputFile& before) {
  const std::string what = before.evaluation ? "evaluation file" : "calibration file";
  const Result<InputFile> now = describe_input(fs, before.path, before.evaluation);
  if (!now.ok()) {
    return as_source_error(job, before.path, what, now.status());
  }
  if (now->sha256 == before.sha256) {
    return {};
  }
  return source_changed(job, before.path,
                        what + " " + before.path + " has changed: it had " +
                            std::to_string(before.size) + " bytes with sha256 " + before.sha256 +
                            ", now " + std::to_string(now->size) + " bytes with sha256 " +
                            now->sha256);
}

}  // namespace

Result<InputFile> describe_input(FileSystem& fs, const std::string& path, bool evaluation) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_reading(path));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, file->stat());
  Sha256 digest;
  std::vector<char> piece(static_cast<size_t>(std::min(kPiece, stat.size)));
  for (int64_t offset = 0; offset < stat.size;) {
    const auto n = static_cast<size_t>(std::min(kPiece, stat.size - offset));
    ROTOR_RETURN_IF_ERROR(file->read(offset, piece.data(), n));
    digest.update(piece.data(), n);
    offset += static_cast<int64_t>(n);
  }
  return InputFile{path, stat.size, digest.hex(), evaluation};
}

Status as_source_error(const JobRecord& job, const std::string& file, const std::string& what,
                       const Status& error) {
  if (error.code() == Code::kResourceExhausted || is_source_reason(error.reason())) {
    return error;
  }
  if (!is_out_of_sight(error)) {
    return source_changed(job, file, what + " has changed: " + error.message());
  }
  return unavailable(job.name() + ": " + what + " cannot be read: " + error.message() +
                     "; what is committed is kept, and the job goes on by itself when the file is "
                     "back")
      .with_reason(kSourceUnreadable)
      .with_detail("job", job.name())
      .with_detail("file", file);
}

Result<std::string> check_source(FileSystem& fs, const JobRecord& job) {
  if (job.algorithm_version != kAlgorithmVersion) {
    return source_changed(job, "rotor-coordinator",
                          "the program's algorithm version was " +
                              std::to_string(job.algorithm_version) + ", now it is " +
                              std::to_string(kAlgorithmVersion));
  }
  ROTOR_ASSIGN_OR_RETURN(std::string digest, check_model(fs, job));
  for (const InputFile& input : job.inputs) {
    ROTOR_RETURN_IF_ERROR(check_input(fs, job, input));
  }
  return digest;
}

}  // namespace rotor::coordinator
