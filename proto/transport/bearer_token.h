// The bearer token of a client: read from its file for every call, so that a token that was
// replaced is shown from the next call on.
//
// gRPC's own call credentials refuse to go over a connection without TLS, and a private coordinator
// on loopback has none: hence an interceptor, which works on both.
//
// Thread-safety: from any thread. Cost: one small file read a call.
#pragma once

#include <grpcpp/support/client_interceptor.h>

#include <memory>
#include <string>

#include "quant/base/status.h"

namespace rotor {

/// "Bearer " + token under this key of a call's metadata.
inline constexpr char kAuthorizationKey[] = "authorization";
inline constexpr char kBearerPrefix[] = "Bearer ";

/// The first line. FAILED_PRECONDITION, reason BAD_TOKEN_FILE, where there is none, or it is not
/// printable ASCII.
Result<std::string> read_token_file(const std::string& path);

/// A call whose token cannot be read goes out without one, and is refused by the coordinator.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> bearer_token_interceptor(
    std::string token_file);

}  // namespace rotor
