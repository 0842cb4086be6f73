// Paths as the user gives them. What cannot be looked at is taken for not there: those refuse it
// who open it.
//
// Thread-safety: plain functions.
#pragma once

#include <filesystem>
#include <string>

#include "quant/base/status.h"

namespace rotor::cli {

bool is_there(const std::filesystem::path& path);
bool is_directory(const std::filesystem::path& path);

/// Whether the file that `option` names can be written, before hours are spent on what it is to
/// hold. Error: a wrong use, where its folder is missing or closed, or it is a folder itself.
Status check_writable(const std::filesystem::path& path, const char* option);

/// Symlinks resolved as far as the path exists: the coordinator opens paths beneath its roots and
/// follows no link out of them.
std::filesystem::path real_path(const std::filesystem::path& path);

}  // namespace rotor::cli
