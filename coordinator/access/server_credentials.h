// The server's side of TLS. Certificate, key and the authority of client certificates are watched:
// what was replaced is used from the next connection on.
//
// Thread-safety: plain functions. Errors: those of proto/transport/pem_files.h.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "coordinator/options.h"

namespace rotor::coordinator {

/// Without --tls-cert none. With --tls-client-ca a client must show a certificate; where there are
/// tokens, too, it may show a token instead.
Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const CoordinatorOptions& options);

}  // namespace rotor::coordinator
