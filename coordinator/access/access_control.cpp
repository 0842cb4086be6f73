#include "coordinator/access/access_control.h"

#include <grpc/grpc_security_constants.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "proto/transport/bearer_token.h"

namespace rotor::coordinator {
namespace {

using std::chrono::seconds;

constexpr int64_t kLargestTokensFile = int64_t{4} << 20;

Status refused(Code code, const std::string& message, const char* reason) {
  return Status(code, message).with_reason(reason);
}

/// The token of the call's metadata; empty: none.
std::string bearer_token(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find(kAuthorizationKey);
  if (found == context.client_metadata().end()) {
    return "";
  }
  const std::string value(found->second.data(), found->second.size());
  return value.starts_with(kBearerPrefix) ? value.substr(sizeof(kBearerPrefix) - 1) : "";
}

const Caller* find_by_certificate(const TokenTable& table, const grpc::ServerContextBase& context) {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (!peer || !peer->IsPeerAuthenticated()) {
    return nullptr;
  }
  for (const char* property : {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : peer->FindPropertyValues(property)) {
      if (const Caller* caller = table.find_certificate({name.data(), name.size()})) {
        return caller;
      }
    }
  }
  return nullptr;
}

const Caller* find_caller(const TokenTable& table, const grpc::ServerContextBase& context) {
  const std::string token = bearer_token(context);
  return token.empty() ? find_by_certificate(table, context) : table.find_token(token);
}

}  // namespace

Result<std::unique_ptr<AccessControl>> AccessControl::open(FileSystem& fs,
                                                           const std::string& path) {
  std::unique_ptr<AccessControl> access(new AccessControl(fs, path));
  if (!path.empty()) {
    ROTOR_ASSIGN_OR_RETURN(TokenTable table, access->read());
    access->table_ = std::make_shared<const TokenTable>(std::move(table));
  }
  return access;
}

Result<TokenTable> AccessControl::read() const {
  const Result<std::string> text = read_whole_file(fs_, path_, kLargestTokensFile);
  if (!text.ok()) {
    return failed_precondition("--tokens " + path_ + ": " + text.status().message())
        .with_reason("BAD_TOKENS_FILE")
        .with_detail("file", path_);
  }
  return TokenTable::parse(*text, path_);
}

std::shared_ptr<const TokenTable> AccessControl::table() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < seconds(1)) {
    return table_;
  }
  looked_ = now;
  const Result<FileStat> stat = fs_.stat(path_);
  std::string version = stat.ok()
                            ? std::to_string(stat->mtime_ns) + " " + std::to_string(stat->size) +
                                  " " + std::to_string(stat->inode)
                            : "missing";
  if (version == version_) {
    return table_;
  }
  version_ = std::move(version);
  Result<TokenTable> next = read();
  if (next.ok()) {
    table_ = std::make_shared<const TokenTable>(std::move(next).value());
  } else {
    spdlog::error("the tokens stay as they were: {}", next.status().to_string());
  }
  return table_;
}

Result<Admission> AccessControl::admit(const grpc::ServerContextBase& context, Role needed,
                                       CallKind kind) {
  Admission admission;
  ROTOR_ASSIGN_OR_RETURN(admission.caller, identify(context, needed));
  admission.counted_as = admission.caller.submitter.owner;
  if (admission.counted_as.empty()) {
    const std::string peer = context.peer();  // "ipv4:10.0.0.7:41234"
    admission.counted_as = peer.substr(0, peer.rfind(':'));
  }
  ROTOR_ASSIGN_OR_RETURN(admission.ticket, limits_.enter(kind, admission.counted_as));
  return admission;
}

std::string AccessControl::name_of(const grpc::ServerContextBase& context) {
  if (path_.empty()) {
    return "";
  }
  const std::shared_ptr<const TokenTable> known = table();
  const Caller* const caller = find_caller(*known, context);
  return caller != nullptr ? caller->submitter.owner : "?";
}

Result<Caller> AccessControl::identify(const grpc::ServerContextBase& context, Role needed) {
  if (path_.empty()) {
    return Caller();
  }
  const std::shared_ptr<const TokenTable> known = table();
  const Caller* caller = find_caller(*known, context);
  if (caller == nullptr) {
    return bearer_token(context).empty()
               ? refused(Code::kUnauthenticated,
                         "this coordinator wants a token, and none was shown; give --token-file or "
                         "$ROTOR_TOKEN_FILE",
                         "NO_TOKEN")
               : refused(Code::kUnauthenticated,
                         "this token is not known here, or not any more; ask whoever runs the "
                         "coordinator for another one",
                         "BAD_TOKEN");
  }
  if (!allows(caller->role, needed)) {
    return refused(Code::kPermissionDenied,
                   "'" + caller->submitter.owner + "' has the role " + role_name(caller->role) +
                       "; this needs the role " + role_name(needed),
                   "ROLE_NEEDED");
  }
  return *caller;
}

Status AccessControl::check_owner(const Caller& caller, const std::string& owner) {
  if (caller.role == Role::kAdmin || caller.submitter.owner == owner) {
    return {};
  }
  return refused(Code::kPermissionDenied,
                 "the job is that of '" + owner + "'; only its owner and an admin may change it",
                 "NOT_THE_OWNER");
}

}  // namespace rotor::coordinator
