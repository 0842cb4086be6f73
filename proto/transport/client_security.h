// How a client (the command line, a rank) proves who it is to a coordinator, and makes sure that it
// talks to the right one. One place for both programs.
//
// Files are watched: a certificate, key or token that was replaced is used from the next connection
// or call on, without a restart.
//
// Thread-safety: plain functions; a channel from any thread. Errors: FAILED_PRECONDITION, reasons
// BAD_TLS_FILES, BAD_TOKEN_FILE and TOKEN_IN_THE_CLEAR.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>
#include <utility>

#include "quant/base/status.h"

namespace CLI {
class App;
}

namespace rotor {

/// Paths; empty: not used.
struct ClientSecurity {
  std::string tls_ca;    // whom to trust; with it the connection is TLS
  std::string tls_cert;  // the client's own certificate, where the coordinator wants one
  std::string tls_key;
  std::string token_file;  // first line: the bearer token
};

/// Where a coordinator is, and how to speak to it.
struct Endpoint {
  Endpoint() = default;
  Endpoint(std::string where, ClientSecurity how = {})  // NOLINT: an address is an endpoint
      : address(std::move(where)), security(std::move(how)) {}
  Endpoint(const char* where) : address(where) {}  // NOLINT

  std::string address;  // HOST:PORT
  ClientSecurity security;
};

/// --tls-ca, --tls-cert, --tls-key and --token-file, with $ROTOR_TLS_CA, $ROTOR_TLS_CERT,
/// $ROTOR_TLS_KEY and $ROTOR_TOKEN_FILE.
void add_security_options(CLI::App& command, ClientSecurity& security);

/// Checks the files and makes the channel; it connects lazily. A token goes over TLS or to this
/// host, never in the clear over a network.
Result<std::shared_ptr<grpc::Channel>> open_channel(const Endpoint& endpoint,
                                                    const grpc::ChannelArguments& arguments);

}  // namespace rotor
