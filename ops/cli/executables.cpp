#include "ops/cli/executables.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>

#include "ops/cli/exit_code.h"

namespace rotor::cli {
namespace {

bool executable_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

std::optional<std::string> find_in_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(directory) / name;
    if (!directory.empty() && executable_file(candidate)) {
      return candidate.string();
    }
  }
  return std::nullopt;
}

Status missing(const std::string& name, const std::string& remedy) {
  return failed_precondition("the program " + name + " was not found")
      .with_reason(kReasonMissingProgram)
      .with_detail("program", name)
      .with_detail("remedy", remedy);
}

}  // namespace

Result<std::string> find_sibling(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && executable_file(self.parent_path() / name)) {
    return (self.parent_path() / name).string();
  }
  if (std::optional<std::string> found = find_in_path(name)) {
    return *found;
  }
  return missing(name, "it is built with rotor: put both in one directory, or its own in PATH");
}

Result<std::string> find_mpirun() {
  if (std::optional<std::string> found = find_in_path("mpirun")) {
    return *found;
  }
  return missing("mpirun",
                 "install Open MPI (Debian: apt install openmpi-bin), or put mpirun in PATH");
}

}  // namespace rotor::cli
