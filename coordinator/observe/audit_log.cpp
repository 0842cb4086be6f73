#include "coordinator/observe/audit_log.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "coordinator/observe/log_line.h"
#include "coordinator/options.h"

namespace rotor::coordinator {
namespace {

int open_to_add(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
}

/// One write, so that no line is cut by another, unless the file system takes less of it. Returns
/// how much was written; where that is not all, errno tells why.
size_t write_all(int fd, const std::string& line) {
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::write(fd, line.data() + done, line.size() - done);
    if (written > 0) {
      done += static_cast<size_t>(written);
    } else if (written == 0 || errno != EINTR) {
      return done;
    }
  }
  return done;
}

}  // namespace

std::string audit_line(const AuditEntry& entry, const std::string& time) {
  return log_line({{"time", time},
                   {"who", entry.who},
                   {"from", entry.from},
                   {"call", entry.call},
                   {"target", entry.target},
                   {"code", entry.code},
                   {"reason", entry.reason},
                   {"seconds", entry.seconds}});
}

Status AuditLog::check() const {
  if (!enabled()) {
    return {};
  }
  const int fd = open_to_add(path_);
  if (fd < 0) {
    return bad_configuration("audit-log", path_, std::strerror(errno));
  }
  ::close(fd);
  return {};
}

void AuditLog::add(const AuditEntry& entry) {
  if (!enabled()) {
    return;
  }
  std::string line = audit_line(entry, log_time(std::chrono::system_clock::now()));
  const std::lock_guard lock(mutex_);
  if (cut_) {
    line.insert(0, "\n");
  }
  errno = 0;
  const int fd = open_to_add(path_);
  const size_t written = fd < 0 ? 0 : write_all(fd, line);
  const int write_error = errno;
  // Some file systems tell only now that there is no room.
  const bool closed = fd >= 0 && ::close(fd) == 0;
  if (written < line.size() || !closed) {
    spdlog::error("the audit log {} cannot be written ({}): {}", path_,
                  std::strerror(written < line.size() ? write_error : errno), line);
  }
  if (written > 0) {
    cut_ = written < line.size();
  }
}

}  // namespace rotor::coordinator
