// UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace rotor {

/// Bytes before the first that is not UTF-8; text.size() where all is. About 1 GB/s on ASCII.
size_t valid_utf8_prefix(std::string_view text);

/// Length of the character that begins at text[at]. The text must be valid and at < text.size().
inline size_t utf8_length_at(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/// The code point of the character that begins at text[at], likewise.
inline char32_t utf8_code_point_at(std::string_view text, size_t at) {
  const size_t length = utf8_length_at(text, at);
  const auto lead = static_cast<unsigned char>(text[at]);
  char32_t point = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    point = point << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  }
  return point;
}

/// The largest character boundary not above `at` in a valid text.
inline size_t utf8_boundary_before(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) {
    --at;
  }
  return at;
}

}  // namespace rotor
