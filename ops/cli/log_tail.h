// The end of a log file, for an error message. Thread-safe.
#pragma once

#include <filesystem>
#include <string>

namespace rotor::cli {

/// The last `lines` lines, read from the last 64 KiB at most; "" where there is no such file.
std::string log_tail(const std::filesystem::path& path, int lines);

}  // namespace rotor::cli
