#include "proto/transport/address.h"

#include <arpa/inet.h>

namespace rotor {

bool is_loopback(const std::string& address) {
  if (address.starts_with("unix:")) {
    return true;
  }
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  // A name such as 127.evil.example is none: only what is an address counts as one.
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24U) == 127U;
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  }
  return host == "localhost";
}

}  // namespace rotor
