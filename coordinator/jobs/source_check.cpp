#include "coordinator/jobs/source_check.h"

#include <algorithm>
#include <vector>

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
                             "; restore it, or begin anew: delete the job and submit again "
                             "(`rotor quantize --restart` does both)")
      .with_reason("SOURCE_CHANGED")
      .with_detail("job", job.name())
      .with_detail("file", file)
      .with_detail("difference", difference);
}

/// A file that is gone or no file any more has changed; an error of the disk or of limits may pass.
bool is_gone(const Status& status) {
  return status.code() == Code::kNotFound || status.code() == Code::kInvalidArgument ||
         status.code() == Code::kPermissionDenied || status.code() == Code::kDataLoss ||
         status.code() == Code::kFailedPrecondition || status.code() == Code::kUnimplemented;
}

Status check_model(FileSystem& fs, const JobRecord& job) {
  ROTOR_ASSIGN_OR_RETURN(const ModelFingerprint before, parse_fingerprint(job.source));
  const Result<ModelFingerprint> now = fingerprint_model(fs, job.model_path);
  if (!now.ok()) {
    return is_gone(now.status())
               ? source_changed(job, job.model_path,
                                "the model cannot be read any more: " + now.status().message())
               : now.status();
  }
  const std::string difference = describe_difference(before, *now);
  return difference.empty()
             ? Status()
             : source_changed(job, job.model_path,
                              "the model " + job.model_path + " has changed: " + difference);
}

Status check_input(FileSystem& fs, const JobRecord& job, const InputFile& before) {
  const std::string what = before.evaluation ? "evaluation file " : "calibration file ";
  const Result<InputFile> now = describe_input(fs, before.path, before.evaluation);
  if (!now.ok()) {
    return is_gone(now.status())
               ? source_changed(job, before.path,
                                what + "cannot be read any more: " + now.status().message())
               : now.status();
  }
  if (now->sha256 == before.sha256) {
    return {};
  }
  return source_changed(job, before.path,
                        what + before.path + " has changed: it had " + std::to_string(before.size) +
                            " bytes with sha256 " + before.sha256 + ", now " +
                            std::to_string(now->size) + " bytes with sha256 " + now->sha256);
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

Status check_source(FileSystem& fs, const JobRecord& job) {
  if (job.algorithm_version != kAlgorithmVersion) {
    return source_changed(job, "rotor-coordinator",
                          "the program's algorithm version was " +
                              std::to_string(job.algorithm_version) + ", now it is " +
                              std::to_string(kAlgorithmVersion));
  }
  ROTOR_RETURN_IF_ERROR(check_model(fs, job));
  for (const InputFile& input : job.inputs) {
    ROTOR_RETURN_IF_ERROR(check_input(fs, job, input));
  }
  return {};
}

}  // namespace rotor::coordinator
