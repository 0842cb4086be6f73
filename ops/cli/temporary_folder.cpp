#include "ops/cli/temporary_folder.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "quant/io/file.h"

namespace rotor::cli {

Result<TemporaryFolder> TemporaryFolder::make() {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) {
    return errno_error(error.value(), "cannot be used for temporary files", "$TMPDIR");
  }
  std::string name = (parent / "rotor-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return errno_error(errno, "cannot make a folder for temporary files", name);
  }
  return TemporaryFolder(name);
}

TemporaryFolder::~TemporaryFolder() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

}  // namespace rotor::cli
