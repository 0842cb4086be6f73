#include "coordinator/options.h"
#include "proto/transport/address.h"

namespace rotor::coordinator {
namespace {

Status check_address(const std::string& option, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return bad_configuration(option, address, "give HOST:PORT, for example 0.0.0.0:7470");
  }
  // gRPC would take a larger number modulo 65536.
  const std::string port = address.substr(colon + 1);
  if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(port) > 65535) {
    return bad_configuration(option, address, "the port is a number from 0 to 65535");
  }
  return {};
}

/// What stands before an address that other hosts can reach.
Status check_guarded(const std::string& option, const std::string& address,
                     const CoordinatorOptions& options) {
  if (options.insecure || is_loopback(address)) {
    return {};
  }
  if (options.tls_cert.empty()) {
    return bad_configuration(option, address,
                             "other hosts can reach it, and without TLS anybody on the way can "
                             "read and change what is sent; give --tls-cert and --tls-key, listen "
                             "on 127.0.0.1, or say --insecure where the network is trusted");
  }
  if (options.tokens.empty() && options.tls_client_ca.empty()) {
    return bad_configuration(option, address,
                             "other hosts can reach it, and nothing says who may do what; give "
                             "--tokens or --tls-client-ca, or say --insecure");
  }
  return {};
}

/// Of what is served without TLS and tokens, to whoever can connect.
Status check_open(const std::string& option, const std::string& address,
                  const CoordinatorOptions& options) {
  if (address.empty()) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_address(option, address));
  return options.insecure || is_loopback(address)
             ? Status()
             : bad_configuration(option, address,
                                 "other hosts can reach it, and it asks for no token; listen on "
                                 "127.0.0.1 behind a proxy that does, or say --insecure where the "
                                 "network is trusted");
}

}  // namespace

Status bad_configuration(const std::string& option, const std::string& value,
                         const std::string& what) {
  return failed_precondition("--" + option + " " + value + ": " + what)
      .with_reason("BAD_CONFIGURATION")
      .with_detail("option", option)
      .with_detail("value", value);
}

Status listen_failed(const std::string& option, const std::string& address,
                     const std::string& why) {
  return failed_precondition("--" + option + " " + address + ": cannot listen there" +
                             (why.empty() ? "" : " (" + why + ")") +
                             ": the port is in use, the address is not an IP address of this host, "
                             "or the port needs privileges; choose another one, or port 0 for a "
                             "free one")
      .with_reason("LISTEN_FAILED")
      .with_detail(option, address);
}

Status check_listeners(const CoordinatorOptions& options) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return bad_configuration("tls-cert", options.tls_cert, "it goes together with --tls-key");
  }
  if (!options.tls_client_ca.empty() && options.tls_cert.empty()) {
    return bad_configuration("tls-client-ca", options.tls_client_ca,
                             "client certificates need --tls-cert and --tls-key");
  }
  ROTOR_RETURN_IF_ERROR(check_address("listen", options.listen));
  ROTOR_RETURN_IF_ERROR(check_guarded("listen", options.listen, options));
  if (!options.worker_listen.empty()) {
    ROTOR_RETURN_IF_ERROR(check_address("worker-listen", options.worker_listen));
    ROTOR_RETURN_IF_ERROR(check_guarded("worker-listen", options.worker_listen, options));
  }
  ROTOR_RETURN_IF_ERROR(check_open("metrics-listen", options.metrics_listen, options));
  return check_open("status-listen", options.status_listen, options);
}

}  // namespace rotor::coordinator
