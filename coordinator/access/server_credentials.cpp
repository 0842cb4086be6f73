#include "coordinator/access/server_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "proto/transport/pem_files.h"

namespace rotor::coordinator {

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const CoordinatorOptions& options) {
  namespace tls = grpc::experimental;
  if (options.tls_cert.empty()) {
    return grpc::InsecureServerCredentials();
  }
  ROTOR_RETURN_IF_ERROR(check_identity_files(options.tls_cert, options.tls_key));
  tls::TlsServerCredentialsOptions settings(std::make_shared<tls::FileWatcherCertificateProvider>(
      options.tls_key, options.tls_cert, options.tls_client_ca, kTlsRefreshSeconds));
  settings.watch_identity_key_cert_pairs();
  if (!options.tls_client_ca.empty()) {
    ROTOR_RETURN_IF_ERROR(check_trust_file(options.tls_client_ca));
    settings.watch_root_certs();
    settings.set_cert_request_type(options.tokens.empty()
                                       ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    // Client certificates name people and gangs, not the host that a connection comes from.
    settings.set_check_call_host(false);
    settings.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  }
  return tls::TlsServerCredentials(settings);
}

}  // namespace rotor::coordinator
