#include "model/tokenizer/utf8.h"

#include <cstdint>
#include <cstring>

namespace rotor {
namespace {

/// Length of the character that `p` begins with, of which `left` bytes are there; 0: it is none.
size_t valid_length(const unsigned char* p, size_t left) {
  const auto continues = [&](size_t i) { return (p[i] & 0xC0) == 0x80; };
  if (p[0] < 0x80) {
    return 1;
  }
  if (p[0] >= 0xC2 && p[0] <= 0xDF) {
    return left >= 2 && continues(1) ? 2 : 0;
  }
  if (p[0] >= 0xE0 && p[0] <= 0xEF) {
    if (left < 3 || !continues(1) || !continues(2)) {
      return 0;
    }
    const bool overlong = p[0] == 0xE0 && p[1] < 0xA0;
    const bool surrogate = p[0] == 0xED && p[1] >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  if (p[0] >= 0xF0 && p[0] <= 0xF4) {
    if (left < 4 || !continues(1) || !continues(2) || !continues(3)) {
      return 0;
    }
    const bool overlong = p[0] == 0xF0 && p[1] < 0x90;
    const bool too_large = p[0] == 0xF4 && p[1] >= 0x90;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

}  // namespace

size_t valid_utf8_prefix(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word = 0;
    if (text.size() - at >= sizeof(word)) {
      std::memcpy(&word, bytes + at, sizeof(word));
      if ((word & 0x8080808080808080U) == 0) {
        at += sizeof(word);
        continue;
      }
    }
    const size_t length = valid_length(bytes + at, text.size() - at);
    if (length == 0) {
      return at;
    }
    at += length;
  }
  return at;
}

}  // namespace rotor
