#include "model/tokenizer/byte_level.h"

#include <array>
#include <cstdint>

namespace rotor {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<uint16_t, 256> make_alphabet() {
  std::array<uint16_t, 256> alphabet{};
  uint16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    alphabet[static_cast<size_t>(byte)] =
        stands_for_itself(byte) ? static_cast<uint16_t>(byte) : next++;
  }
  return alphabet;
}

constexpr std::array<uint16_t, 256> kAlphabet = make_alphabet();
static_assert(kAlphabet[' '] == 0x120 && kAlphabet[0xAD] == 0x143);

}  // namespace

void append_byte_level(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const uint16_t point = kAlphabet[static_cast<unsigned char>(c)];
    if (point < 0x80) {
      out += static_cast<char>(point);
    } else {
      out += static_cast<char>(0xC0 | (point >> 6));
      out += static_cast<char>(0x80 | (point & 0x3F));
    }
  }
}

}  // namespace rotor
