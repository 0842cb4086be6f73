// Where a checkpoint may be made (faults.md row 26).
//
// Thread-safety: plain functions.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

/// Resolves `output` below `root`. Errors: PATH_REFUSED; ALREADY_EXISTS OUTPUT_EXISTS where
/// something is there already, or OUTPUT_PARTIAL_EXISTS where another program may be writing it;
/// INVALID_ARGUMENT OUTPUT_IN_MODEL where it is the model or within it; PERMISSION_DENIED
/// OUTPUT_NOT_WRITABLE. `model_path` may be empty where the model is not known.
Result<std::string> check_output(FileSystem& fs, const std::string& root, const std::string& output,
                                 const std::string& model_path);

/// The directory that a checkpoint is put together in, beside where it will be.
std::string partial_output(const std::string& output_path);

}  // namespace rotor::coordinator
