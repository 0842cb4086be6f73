// Putting text of unknown origin into messages.
#pragma once

#include <string>
#include <string_view>

namespace rotor {

/// `text` in single quotes, at most 120 bytes of it, every byte but printable ASCII as \xNN: safe
/// on a terminal and valid UTF-8 for an RPC, whatever a file holds.
std::string printable(std::string_view text);

}  // namespace rotor
