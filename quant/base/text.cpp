#include "quant/base/text.h"

namespace rotor {

std::string printable(std::string_view text) {
  constexpr size_t kMaxBytes = 120;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, kMaxBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += text.size() > kMaxBytes ? "...'" : "'";
  return out;
}

}  // namespace rotor
