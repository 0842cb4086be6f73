// Calibration data of any kind, made into one file of token ids that a coordinator reads: chats
// rendered by the model's own template, Parquet and Arrow read, several sets mixed by weight.
//
// Thread-safety: the calling thread's; it starts a program (ops/dataset). Cost: every record is
// rendered, whether a window comes of it or not.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/calibration/read_windows.h"
#include "ops/cli/calibration_source.h"
#include "quant/base/status.h"

namespace rotor::cli {

struct CalibrationSettings {
  std::string model;  // its directory: config.json, tokenizer, chat template
  TextSource source;  // sequences, seq_len, seed, mode; `files` is not read
  std::vector<CalibrationSource> sources;
  std::filesystem::path output;  // JSON lines, replaced whole; what is rendered lies beside it
};

struct PreparedCalibration {
  int64_t windows = 0;
  std::string digest;  // TokenWindows::digest
};

/// Writes source.sequences lines {"input_ids": [...]} of seq_len ids each. The same data, settings
/// and model give the same bytes. Errors: those of reading (model/calibration/read_windows.h), of
/// the program (its own reason, message and details), MISSING_PROGRAM, BAD_CALIBRATION_OPTIONS.
Result<PreparedCalibration> prepare_calibration(const CalibrationSettings& settings);

}  // namespace rotor::cli
