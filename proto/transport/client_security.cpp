#include "proto/transport/client_security.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "proto/transport/address.h"
#include "proto/transport/bearer_token.h"
#include "proto/transport/pem_files.h"

namespace rotor {
namespace {

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials(const ClientSecurity& security) {
  namespace tls = grpc::experimental;
  if (security.tls_cert.empty() != security.tls_key.empty() ||
      (!security.tls_cert.empty() && security.tls_ca.empty())) {
    return failed_precondition("--tls-cert and --tls-key go together, and with --tls-ca")
        .with_reason("BAD_TLS_FILES");
  }
  if (security.tls_ca.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  ROTOR_RETURN_IF_ERROR(check_trust_file(security.tls_ca));
  if (!security.tls_cert.empty()) {
    ROTOR_RETURN_IF_ERROR(check_identity_files(security.tls_cert, security.tls_key));
  }
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
      security.tls_key, security.tls_cert, security.tls_ca, kTlsRefreshSeconds));
  options.watch_root_certs();
  if (!security.tls_cert.empty()) {
    options.watch_identity_key_cert_pairs();
  }
  return tls::TlsCredentials(options);
}

}  // namespace

void add_security_options(CLI::App& command, ClientSecurity& security) {
  const auto add = [&command](const char* name, std::string& value, const char* variable,
                              const char* what) {
    command.add_option(name, value, what)->envname(variable)->type_name("FILE")->group("Security");
  };
  add("--tls-ca", security.tls_ca, "ROTOR_TLS_CA",
      "Certificates (PEM) of who may vouch for the coordinator; with it the connection is TLS");
  add("--tls-cert", security.tls_cert, "ROTOR_TLS_CERT", "Own certificate (PEM), if it wants one");
  add("--tls-key", security.tls_key, "ROTOR_TLS_KEY", "Key (PEM) of --tls-cert");
  add("--token-file", security.token_file, "ROTOR_TOKEN_FILE",
      "File whose first line is the token to show");
}

Result<std::shared_ptr<grpc::Channel>> open_channel(const Endpoint& endpoint,
                                                    const grpc::ChannelArguments& arguments) {
  const ClientSecurity& security = endpoint.security;
  ROTOR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> channel_credentials,
                         credentials(security));
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!security.token_file.empty()) {
    ROTOR_RETURN_IF_ERROR(read_token_file(security.token_file).status());
    if (security.tls_ca.empty() && !is_loopback(endpoint.address)) {
      return failed_precondition("a token would go to " + endpoint.address +
                                 " for everybody on the way to read; give --tls-ca")
          .with_reason("TOKEN_IN_THE_CLEAR")
          .with_detail("address", endpoint.address);
    }
    interceptors.push_back(bearer_token_interceptor(security.token_file));
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      endpoint.address, channel_credentials, arguments, std::move(interceptors));
}

}  // namespace rotor
