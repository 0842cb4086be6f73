// Whether a message can be shown: written without the code under test.
#pragma once

#include <cstddef>
#include <string_view>

namespace rotor::testing {

/// UTF-8 (RFC 3629) without control characters other than line ends.
inline bool is_printable_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at++]);
    if (lead < 0x80) {
      if ((lead < 0x20 && lead != '\n') || lead == 0x7F) {
        return false;
      }
      continue;
    }
    const size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - at < more) {
      return false;
    }
    char32_t point = lead & (0x3FU >> more);
    for (size_t i = 0; i < more; ++i) {
      const auto next = static_cast<unsigned char>(text[at++]);
      if ((next & 0xC0) != 0x80) {
        return false;
      }
      point = point << 6 | (next & 0x3FU);
    }
    const bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    const bool control = point < 0xA0;
    if (overlong || surrogate || control || point > 0x10FFFF) {
      return false;
    }
  }
  return true;
}

}  // namespace rotor::testing
