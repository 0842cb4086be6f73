// The command that quantizes as a spec says, for a person to type.
//
// Thread-safety: pure functions.
#pragma once

#include <string>

#include "rotor/v1/job.pb.h"

namespace rotor::cli {

/// As a word of a POSIX shell: in quotes where it needs them.
std::string shell_word(const std::string& text);

/// `rotor quantize MODEL --output DIR --calibration FILE... --format F --activations A --rotation
/// R`, with what else of calibration the spec gives.
std::string quantize_line(const v1::JobSpec& spec);

}  // namespace rotor::cli
