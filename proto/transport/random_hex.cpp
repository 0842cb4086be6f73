#include "proto/transport/random_hex.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <vector>

namespace rotor {

Result<std::string> random_hex(size_t bytes) {
  std::vector<uint8_t> random(bytes);
  if (::getrandom(random.data(), bytes, 0) != static_cast<ssize_t>(bytes)) {
    return errno_error(errno, "getrandom", "random numbers");
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : random) {
    text += kHex[byte >> 4U];
    text += kHex[byte & 15U];
  }
  return text;
}

}  // namespace rotor
