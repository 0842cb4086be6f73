#include "quant/base/plain_text.h"

namespace rotor {
namespace {

std::string escaped(char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
}

/// Length of the control character that begins at `at`: 0, 1, or 2 for one of C1 (U+0080 to
/// U+009F), which some terminals obey.
size_t control_at(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7f) {
    return 1;
  }
  if (byte != 0xc2 || at + 1 == text.size()) {
    return 0;
  }
  const auto next = static_cast<unsigned char>(text[at + 1]);
  return next >= 0x80 && next < 0xa0 ? 2 : 0;
}

}  // namespace

bool is_plain_text(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (control_at(text, at) != 0) {
      return false;
    }
  }
  return true;
}

std::string without_controls(std::string_view text, std::string_view allowed) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = control_at(text, at);
    if (length == 0 || allowed.find(text[at]) != std::string_view::npos) {
      out += text[at++];
      continue;
    }
    for (const size_t end = at + length; at < end; ++at) {
      out += escaped(text[at]);
    }
  }
  return out;
}

}  // namespace rotor
