// The file that --tokens names: who may do what. One line each; # begins a comment:
//
//   NAME  ROLE  SECRET  [jobs=N] [model-root=DIR] [data-root=DIR]... [output-root=DIR]
//
// ROLE: read (look at jobs), submit (read, and own jobs), worker (work on jobs), admin (all).
// SECRET: sha256:HEX, of a bearer token, or cert:NAME, the common name or a subject alternative
// name of a client certificate that --tls-client-ca vouches for. Several lines may have one NAME,
// such as the old token and the new while clients change over.
//
// Tokens are random 256-bit numbers, so one round of SHA-256 keeps them: there is nothing to guess
// that a slow digest would have to protect.
//
// Thread-safety: immutable once parsed. Errors: FAILED_PRECONDITION, reason BAD_TOKENS_FILE, naming
// file and line.
#pragma once

#include <map>
#include <string>

#include "coordinator/access/submitter.h"
#include "quant/base/status.h"

namespace rotor::coordinator {

enum class Role { kRead, kSubmit, kWorker, kAdmin };

/// Empty where there is none of that name.
std::string role_name(Role role);
Result<Role> parse_role(const std::string& name);
/// Whether one who has `role` may do what `needed` is needed for.
bool allows(Role role, Role needed);

struct Caller {
  Role role = Role::kAdmin;
  Submitter submitter;  // its owner is the caller's name
};

class TokenTable {
 public:
  static Result<TokenTable> parse(const std::string& text, const std::string& path);

  /// Null where nobody has this token, or this name in a certificate.
  const Caller* find_token(const std::string& token) const;
  const Caller* find_certificate(const std::string& name) const;

 private:
  std::map<std::string, Caller> by_secret_;  // as the file writes it
};

}  // namespace rotor::coordinator
