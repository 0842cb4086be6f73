// HOST:PORT and unix:PATH as gRPC takes them. Thread-safety: plain functions.
#pragma once

#include <string>

namespace rotor {

/// Whether only processes of this host can be at the other end: 127.0.0.0/8, [::1], localhost, or a
/// unix socket.
bool is_loopback(const std::string& address);

}  // namespace rotor
