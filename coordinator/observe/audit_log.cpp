#include "coordinator/observe/audit_log.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "coordinator/observe/log_time.h"
#include "coordinator/options.h"

namespace rotor::coordinator {
namespace {

int open_to_add(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
}

/// One write, so that no line is cut by another.
bool write_line(int fd, const std::string& line) {
  return ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

std::string audit_line(const AuditEntry& entry, const std::string& time) {
  const nlohmann::ordered_json json = {{"time", time},           {"who", entry.who},
                                       {"from", entry.from},     {"call", entry.call},
                                       {"target", entry.target}, {"code", entry.code},
                                       {"reason", entry.reason}, {"seconds", entry.seconds}};
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
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
  const std::string line = audit_line(entry, log_time(std::chrono::system_clock::now()));
  const std::lock_guard lock(mutex_);
  const int fd = open_to_add(path_);
  const bool written = fd >= 0 && write_line(fd, line);
  if (!written) {
    spdlog::error("the audit log {} cannot be written ({}): {}", path_, std::strerror(errno), line);
  }
  if (fd >= 0) {
    ::close(fd);
  }
}

}  // namespace rotor::coordinator
