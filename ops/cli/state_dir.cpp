#include "ops/cli/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "ops/cli/exit_code.h"

namespace rotor::cli {
namespace {

std::string holder(int lock) {
  std::array<char, 32> buffer{};
  const ssize_t got = pread(lock, buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string(buffer.data(), static_cast<size_t>(got)) : "unknown";
}

}  // namespace

std::filesystem::path default_state_dir(const std::filesystem::path& output) {
  return output.parent_path() / ("." + output.filename().string() + ".rotor");
}

Status write_private_file(const std::filesystem::path& path, const std::string& text) {
  ::unlink(path.c_str());
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return errno_error(errno, "open", path.string());
  }
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(file);
  return written ? Status() : errno_error(error, "write", path.string());
}

Result<StateDir> StateDir::open(const std::filesystem::path& path) {
  std::error_code error;
  const bool fresh = std::filesystem::create_directories(path, error);
  if (error) {
    return errno_error(error.value(), "cannot make the directory", path.string());
  }
  if (fresh) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  const std::filesystem::path lock_path = path / "lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    return errno_error(errno, "open", lock_path.string());
  }
  StateDir result(path, lock, fresh);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return failed_precondition("another rotor quantize is running on this output")
        .with_reason(kReasonAlreadyRunning)
        .with_detail("process", holder(lock))
        .with_detail("state-dir", path.string())
        .with_detail("remedy", "wait for it, stop it, or name another --output");
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock, 0) != 0 ||
      pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return errno_error(errno, "write", lock_path.string());
  }
  return result;
}

StateDir::StateDir(StateDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), fresh_(other.fresh_) {}

StateDir::~StateDir() {
  if (lock_ >= 0) {
    close(lock_);
  }
}

Status StateDir::forget() {
  std::error_code error;
  std::filesystem::remove_all(coordinator_state(), error);
  if (error) {
    return errno_error(error.value(), "cannot be removed", coordinator_state().string());
  }
  return {};
}

void StateDir::discard() {
  std::error_code ignored;
  std::filesystem::remove_all(coordinator_state(), ignored);
  std::filesystem::remove_all(calibration(), ignored);
  for (const std::filesystem::path& file :
       {port_file(), token_file(), tokens_file(), coordinator_log(), worker_log(), path_ / "lock",
        path_}) {
    std::filesystem::remove(file, ignored);
  }
}

}  // namespace rotor::cli
