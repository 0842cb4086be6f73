// The channel from a rank to the coordinator.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "proto/transport/client_security.h"

namespace rotor::worker {

/// Bytes of one chunk of an upload; the coordinator takes no more.
inline constexpr size_t kUploadChunk = size_t{1} << 20;

/// Connects lazily. Keepalive pings find a cut network within half a minute. Errors: those of
/// open_channel.
Result<std::shared_ptr<grpc::Channel>> make_channel(const Endpoint& coordinator);

}  // namespace rotor::worker
