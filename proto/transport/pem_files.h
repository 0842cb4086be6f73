// The PEM files of TLS, looked at before gRPC watches them: it says nothing of a file that it
// cannot use, and its handshakes fail without a reason.
//
// Thread-safety: plain functions. Errors: FAILED_PRECONDITION, reason BAD_TLS_FILES, naming file
// and remedy.
#pragma once

#include <string>

#include "quant/base/status.h"

namespace rotor {

/// Seconds after which a certificate or key that was replaced is used at the latest.
inline constexpr unsigned kTlsRefreshSeconds = 1;

/// A chain and its key: both can be read, they belong together, and the certificate is valid now.
Status check_identity_files(const std::string& certificate, const std::string& key);
/// At least one certificate to trust.
Status check_trust_file(const std::string& authority);

}  // namespace rotor
