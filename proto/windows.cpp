#include "proto/windows.h"

#include <utility>

#include "quant/base/sha256.h"

namespace rotor {

TextSource calibration_source(const v1::JobSpec& spec, std::vector<std::string> paths) {
  TextSource source;
  source.files = std::move(paths);
  source.mode = spec.calibration().mode() == v1::CALIBRATION_MODE_DOCUMENT
                    ? CalibrationMode::kDocument
                    : CalibrationMode::kPacked;
  source.sequences = spec.calibration().sequences();
  source.seq_len = spec.calibration().seq_len();
  source.seed = spec.calibration().seed();
  return source;
}

TextSource evaluation_source(const v1::JobSpec& spec, std::vector<std::string> paths) {
  TextSource source;
  source.files = std::move(paths);
  source.sequences = spec.evaluation().sequences();
  source.seq_len = spec.evaluation().seq_len();
  return source;
}

std::string windows_digest(const TokenWindows& calibration,
                           const std::optional<TokenWindows>& evaluation) {
  return evaluation ? sha256_hex(calibration.digest() + evaluation->digest())
                    : calibration.digest();
}

}  // namespace rotor
