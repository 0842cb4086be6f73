// Who asked what, from where, and what came of it: a line of JSON for each call that changes
// something, and for each that was refused. The file is only added to, and opened anew for each
// line, so that it may be moved away at any time.
//
// Thread-safety: from any thread. Errors: a line that cannot be written is an error in the log; the
// call it tells of has been answered already.
#pragma once

#include <mutex>
#include <string>

#include "quant/base/status.h"

namespace rotor::coordinator {

struct AuditEntry {
  std::string who;     // name of the token; empty: no tokens are in use; "?": not known
  std::string from;    // address, as gRPC spells it
  std::string call;    // "SubmitJob"
  std::string target;  // the job, or what was asked for
  std::string code;    // "OK", "PERMISSION_DENIED", ...
  std::string reason;  // of a refusal
  double seconds = 0;  // until the answer; of a stream, until its end
};

/// As log_line(). `time`: as log_time() writes it.
std::string audit_line(const AuditEntry& entry, const std::string& time);

class AuditLog {
 public:
  /// `path` empty: nothing is written.
  explicit AuditLog(std::string path) : path_(std::move(path)) {}
  /// Whether the file can be written: FAILED_PRECONDITION, BAD_CONFIGURATION.
  Status check() const;
  bool enabled() const { return !path_.empty(); }
  void add(const AuditEntry& entry);

 private:
  const std::string path_;
  std::mutex mutex_;
  bool cut_ = false;  // the last line was written in part: the next begins on a line of its own
};

}  // namespace rotor::coordinator
