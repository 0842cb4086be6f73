// The token windows of a job, from its spec and the files that the paths name: the one place that
// says which windows those are and what their digest is, so that coordinator and workers agree.
//
// Thread-safety: plain functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/calibration/read_windows.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

/// What to read for calibration; `spec` has its defaults, `paths` are spec.calibration.files
/// resolved.
TextSource calibration_source(const v1::JobSpec& spec, std::vector<std::string> paths);
/// What to read for evaluation; spec.evaluation is set.
TextSource evaluation_source(const v1::JobSpec& spec, std::vector<std::string> paths);

/// Lease.calibration_digest: the calibration windows' digest, and where there is an evaluation,
/// sha256 in hex over both digests in hex, calibration first.
std::string windows_digest(const TokenWindows& calibration,
                           const std::optional<TokenWindows>& evaluation);

}  // namespace rotor
