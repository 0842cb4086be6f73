#include "ops/cli/paths.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ops/cli/exit_code.h"

namespace rotor::cli {

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

bool is_directory(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

Status check_writable(const std::filesystem::path& path, const char* option) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::string fault;
  if (!cli::is_directory(folder)) {
    fault = "its folder " + folder.string() + " does not exist: make it";
  } else if (cli::is_directory(path)) {
    fault = "it is a folder: name a file";
  } else if (::access((is_there(path) ? path : folder).c_str(), W_OK) != 0) {
    fault = std::string(std::strerror(errno)) + ": name a file that this user may write";
  }
  return fault.empty() ? Status()
                       : invalid_argument(path.string() + " cannot be written: " + fault)
                             .with_reason(kReasonUsage)
                             .with_detail("option", option);
}

std::filesystem::path real_path(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real;
}

}  // namespace rotor::cli
