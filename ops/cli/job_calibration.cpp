#include "ops/cli/job_calibration.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "ops/cli/exit_code.h"
#include "ops/cli/paths.h"
#include "ops/cli/prepare_calibration.h"
#include "quant/base/sha256.h"
#include "quant/io/file.h"

namespace rotor::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = int64_t{1} << 20;
constexpr size_t kDigits = 16;  // of a digest, in a file's name

std::vector<CalibrationSource> sources_of(const v1::JobSpec& spec) {
  std::vector<CalibrationSource> sources;
  for (const std::string& file : spec.calibration().files()) {
    sources.push_back(parse_calibration_source(file));
  }
  return sources;
}

/// Each text behind its length, so that no two lists are one.
void add(Sha256& digest, const std::string& text) {
  digest.update(std::to_string(text.size()) + ":" + text);
}

std::string options_digest(const v1::JobSpec& spec) {
  Sha256 digest;
  for (const std::string& file : spec.calibration().files()) {
    add(digest, file);
  }
  add(digest, std::to_string(spec.calibration().seed()));
  return digest.hex().substr(0, kDigits);
}

/// The files of a folder, sorted; of a file, itself.
Result<std::vector<std::string>> files_of(const std::string& path) {
  if (!is_directory(path)) {
    return std::vector<std::string>{path};
  }
  std::error_code error;
  std::vector<std::string> files;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error)) {
      files.push_back(it->path().string());
    }
  }
  if (error) {
    return errno_error(error.value(), "cannot be listed", path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

Status add_file(const std::string& path, const std::function<bool()>& stopped, Sha256& digest) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, posix_file_system().open_for_reading(path));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, file->stat());
  add(digest, std::to_string(stat.size));
  std::vector<char> piece(static_cast<size_t>(std::min(kPiece, stat.size)));
  for (int64_t offset = 0; offset < stat.size; offset += kPiece) {
    ROTOR_RETURN_IF_ERROR(check_stop(stopped));
    const auto n = static_cast<size_t>(std::min(kPiece, stat.size - offset));
    ROTOR_RETURN_IF_ERROR(file->read(offset, piece.data(), n));
    digest.update(piece.data(), n);
  }
  return {};
}

Result<std::string> content_digest(const std::vector<CalibrationSource>& sources,
                                   const std::function<bool()>& stopped) {
  Sha256 digest;
  for (const CalibrationSource& source : sources) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> files, files_of(source.file));
    for (const std::string& file : files) {
      add(digest, file.substr(std::min(file.size(), source.file.size())));
      ROTOR_RETURN_IF_ERROR(add_file(file, stopped, digest));
    }
  }
  return digest.hex().substr(0, kDigits);
}

/// What was prepared for the job, where its options were these; else empty.
std::string prepared_by(const v1::Job& job, const StateDir& state, const std::string& options) {
  const auto& files = job.spec().calibration().files();
  if (files.size() != 1) {
    return "";
  }
  const fs::path file = files[0];
  const bool same = file.parent_path().filename() == state.calibration().filename() &&
                    file.filename().string().starts_with(options + "-");
  return same ? files[0] : "";
}

/// As the coordinator opens it, who follows no link.
fs::path file_of(const StateDir& state, const std::string& name) {
  return real_path(state.calibration()) / name;
}

fs::path plan_file(const StateDir& state) {
  return file_of(state, "plan.jsonl");
}

Status make(const v1::JobSpec& spec, const fs::path& output, const std::function<bool()>& stopped,
            Console& console) {
  ROTOR_ASSIGN_OR_RETURN(const CalibrationSettings settings, calibration_settings(spec, output));
  ROTOR_RETURN_IF_ERROR(create_directories(posix_file_system(), output.parent_path().string()));
  console.note("preparing calibration data");
  return prepare_calibration(settings, stopped).status();
}

/// With windows that are chosen already, of the length that the spec gives.
v1::JobSpec with_prepared(v1::JobSpec spec, const fs::path& file) {
  spec.mutable_calibration()->clear_files();
  spec.mutable_calibration()->add_files(file.string());
  spec.mutable_calibration()->set_seed(0);
  return spec;
}

}  // namespace

Result<v1::JobSpec> prepare_for_job(v1::JobSpec spec, const std::optional<v1::Job>& earlier,
                                    const StateDir& state, const std::function<bool()>& stopped,
                                    Console& console) {
  const std::vector<CalibrationSource> sources = sources_of(spec);
  ROTOR_RETURN_IF_ERROR(check_weights(sources));
  const std::string options = options_digest(spec);
  const std::string own = earlier ? prepared_by(*earlier, state, options) : "";
  if (own.empty() && !need_preparation(sources)) {
    return spec;
  }
  const Result<std::string> content = content_digest(sources, stopped);
  if (!content.ok() && (own.empty() || content.status().reason() == kReasonInterrupted)) {
    return content.status();
  }
  // What cannot be read any more was prepared when it could be.
  const fs::path file =
      content.ok() ? file_of(state, options + "-" + *content + ".jsonl") : fs::path(own);
  const bool lacks_its_own = file == own && !is_there(file);
  if (!earlier) {
    std::error_code ignored;
    fs::remove_all(state.calibration(), ignored);  // of jobs that are forgotten, or a killed run's
  }
  if (!earlier || lacks_its_own) {
    ROTOR_RETURN_IF_ERROR(make(spec, file, stopped, console));
  }
  return with_prepared(std::move(spec), file);
}

Result<v1::JobSpec> prepare_for_plan(v1::JobSpec spec, const StateDir& state,
                                     const std::function<bool()>& stopped, Console& console) {
  const std::vector<CalibrationSource> sources = sources_of(spec);
  ROTOR_RETURN_IF_ERROR(check_weights(sources));
  if (!need_preparation(sources)) {
    return spec;
  }
  const fs::path file = plan_file(state);
  ROTOR_RETURN_IF_ERROR(make(spec, file, stopped, console));
  return with_prepared(std::move(spec), file);
}

void remove_plan_calibration(const StateDir& state) {
  std::error_code ignored;
  fs::remove(plan_file(state), ignored);
  fs::remove(state.calibration(), ignored);  // where no job has anything there
}

}  // namespace rotor::cli
