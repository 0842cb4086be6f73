// Who calls, and whether it may.
//
// With a tokens file every call must show a bearer token of it, or come over a connection whose
// client certificate has a name of it; without one, whoever can connect may do everything. The file
// is looked at again, at most once a second, when its time, size or inode has changed: a token is
// made or withdrawn without a restart. A file that has become unreadable or wrong changes nothing,
// and the log says so.
//
// Thread-safety: from any thread. Errors of admit(): UNAUTHENTICATED, reason NO_TOKEN or BAD_TOKEN;
// PERMISSION_DENIED, reason ROLE_NEEDED or NOT_THE_OWNER; those of CallLimits.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "coordinator/access/call_limits.h"
#include "coordinator/access/token_table.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

struct Admission {
  Caller caller;
  std::string counted_as;  // in CallLimits: its name, or its address where it has none
  CallLimits::Ticket ticket;
};

class AccessControl {
 public:
  /// `path` empty: no tokens. Errors: those of TokenTable::parse and of reading the file.
  static Result<std::unique_ptr<AccessControl>> open(FileSystem& fs, const std::string& path);

  /// Who calls, and its ticket, to be held while the call lasts.
  Result<Admission> admit(const grpc::ServerContextBase& context, Role needed, CallKind kind);
  /// For the audit log: the caller's name, empty without tokens, "?" for one that is not known.
  std::string name_of(const grpc::ServerContextBase& context);
  CallLimits& limits() { return limits_; }
  /// For what changes a job: its owner, or an admin.
  static Status check_owner(const Caller& caller, const std::string& owner);

 private:
  AccessControl(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Result<Caller> identify(const grpc::ServerContextBase& context, Role needed);
  Result<TokenTable> read() const;
  std::shared_ptr<const TokenTable> table();

  FileSystem& fs_;
  const std::string path_;
  CallLimits limits_;
  std::mutex mutex_;
  std::shared_ptr<const TokenTable> table_;
  std::string version_;  // of the file that was looked at last
  std::chrono::steady_clock::time_point looked_;
};

}  // namespace rotor::coordinator
