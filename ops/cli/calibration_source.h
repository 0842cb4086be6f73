// A file of --calibration with its share of the windows, and what has to be done before it can be
// read. Thread-safety: plain functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::cli {

struct CalibrationSource {
  std::string file;
  std::optional<double> weight;  // above 0; of all windows, beside the others'
};

/// "FILE" or "FILE:WEIGHT"; what is a file with all of its text is one.
CalibrationSource parse_calibration_source(const std::string& text);

/// Of several files all or none have weights: INVALID_ARGUMENT, reason BAD_CALIBRATION_OPTIONS.
Status check_weights(const std::vector<CalibrationSource>& sources);

/// Whether only ops/dataset reads it: Parquet, Arrow, a folder, JSON that speaks of chats. What
/// cannot be opened does not: whoever reads it says why.
bool needs_rendering(const std::string& file);

/// Whether a coordinator could not read them as they are.
bool need_preparation(const std::vector<CalibrationSource>& sources);

/// `windows` shared out by weight, the largest remainders first; needs weights.
std::vector<int64_t> share_out(int64_t windows, const std::vector<CalibrationSource>& sources);

}  // namespace rotor::cli
