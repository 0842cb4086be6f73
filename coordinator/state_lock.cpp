#include "coordinator/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "coordinator/observe/log_line.h"
#include "quant/io/file.h"

namespace rotor::coordinator {
namespace {

std::string holder_text() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) {
    host[0] = '?';
  }
  return "pid " + std::to_string(::getpid()) + " on " + host.data() + " since " +
         log_time(std::chrono::system_clock::now());
}

std::string read_holder(int fd) {
  std::array<char, 512> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  return n > 0 ? std::string(text.data(), static_cast<size_t>(n))
               : "a process whose lock file was removed, or that is starting";
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::string& state_dir) {
  const std::string path = join_path(state_dir, "lock");
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) {
    return errno_error(errno, "open", path);
  }
  StateLock lock(file);
  lock.directory_ = ::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock.directory_ < 0) {
    return errno_error(errno, "open", state_dir);
  }
  for (const int fd : {lock.directory_, lock.file_}) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      continue;
    }
    if (errno != EWOULDBLOCK) {
      return errno_error(errno, "flock", path);
    }
    const std::string holder = read_holder(file);
    return failed_precondition("--state-dir " + state_dir + " is in use by another coordinator: " +
                               holder + "; stop it, or use another directory")
        .with_reason("STATE_DIR_IN_USE")
        .with_detail("holder", holder);
  }
  const std::string text = holder_text();
  if (::ftruncate(file, 0) != 0 ||
      ::pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return errno_error(errno, "write", path);
  }
  return lock;
}

StateLock::StateLock(StateLock&& other) noexcept
    : file_(std::exchange(other.file_, -1)), directory_(std::exchange(other.directory_, -1)) {}

StateLock::~StateLock() {
  for (const int fd : {file_, directory_}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

}  // namespace rotor::coordinator
