// Where the programs are that `rotor` starts. Thread-safe.
#pragma once

#include <string>

#include "quant/base/status.h"

namespace rotor::cli {

/// A program of ours: beside this executable, else in PATH. FAILED_PRECONDITION, reason
/// MISSING_PROGRAM, with the remedy.
Result<std::string> find_sibling(const std::string& name);

/// mpirun in PATH; the error names the Debian package.
Result<std::string> find_mpirun();

}  // namespace rotor::cli
