// Calibration data of any kind, made into one file of token ids that a coordinator reads: chats
// rendered by the model's own template, Parquet and Arrow read, several sets mixed by weight.
//
// Thread-safety: the calling thread's; it starts a program (ops/dataset). Cost: every record is
// rendered, whether a window comes of it or not.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "model/calibration/read_windows.h"
#include "ops/cli/calibration_source.h"
#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor::cli {

struct CalibrationSettings {
  std::string model;  // its directory: config.json, tokenizer, chat template
  TextSource source;  // sequences, seq_len, seed, mode; `files` is not read
  std::vector<CalibrationSource> sources;
  std::filesystem::path output;  // JSON lines, replaced whole; what is rendered lies beside it
};

/// Those of a spec, which need not name its format.
Result<CalibrationSettings> calibration_settings(v1::JobSpec spec,
                                                 const std::filesystem::path& output);

struct PreparedCalibration {
  int64_t windows = 0;
  std::string digest;  // TokenWindows::digest
};

/// Writes source.sequences lines {"input_ids": [...]} of seq_len ids each. The same data, settings
/// and model give the same bytes. Errors: those of reading (model/calibration/read_windows.h), of
/// the program (its own reason, message and details), MISSING_PROGRAM, BAD_CALIBRATION_OPTIONS;
/// CANCELLED, reason INTERRUPTED, once `stopped` says so: it is asked often while the program runs,
/// before each text becomes token ids, and before anything is written.
Result<PreparedCalibration> prepare_calibration(const CalibrationSettings& settings,
                                                const std::function<bool()>& stopped);

/// CANCELLED, reason INTERRUPTED, once `stopped` says so.
Status check_stop(const std::function<bool()>& stopped);

/// What the program that reads data sets said of `file` in the last line of `written`; INTERNAL
/// with that line and how it ended where that is no error as JSON.
Status dataset_failure(const std::string& file, const std::string& ended,
                       const std::string& written);

}  // namespace rotor::cli
