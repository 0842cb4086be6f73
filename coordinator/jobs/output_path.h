// Where a checkpoint may be made (faults.md row 26).
//
// Thread-safety: plain functions.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

/// Resolves `output` below `root`, a real path. Errors: PATH_REFUSED; INVALID_ARGUMENT
/// OUTPUT_NAME_RESERVED for a name that work under way has; ALREADY_EXISTS OUTPUT_EXISTS where
/// something is there already, or OUTPUT_PARTIAL_EXISTS where another program may be writing it;
/// INVALID_ARGUMENT OUTPUT_IN_MODEL where it is the model or within it; PERMISSION_DENIED
/// OUTPUT_NOT_WRITABLE. Directories above it may be missing. `model_path` may be empty where the
/// model is not known.
Result<std::string> check_output(FileSystem& fs, const std::string& root, const std::string& output,
                                 const std::string& model_path);

/// Whether `path` is `directory` or lies in it; both absolute and without symlinks.
bool is_within(const std::string& path, const std::string& directory);

/// The directory that a checkpoint is put together in, beside where it will be.
std::string partial_output(const std::string& output_path);

}  // namespace rotor::coordinator
