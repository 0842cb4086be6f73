// The alphabet of byte-level BPE: each byte stands for one printable character, so that a
// vocabulary of strings can hold any bytes. As GPT-2 has it: the printable characters of Latin-1
// stand for themselves, the other 68 bytes, in order, for U+0100 and on.
#pragma once

#include <string>
#include <string_view>

namespace rotor {

/// GPT-2's split pattern, that a ByteLevel pre-tokenizer with use_regex applies.
inline constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Appends the characters of `bytes` in UTF-8, one or two bytes each.
void append_byte_level(std::string_view bytes, std::string& out);

}  // namespace rotor
