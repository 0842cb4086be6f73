// The tokens of a BPE model by their text, and those that texts begin as: characters and bytes.
//
// Thread-safety: const members from any thread. Cost: some 100 bytes a token, and 4 bytes for each
// code point up to the largest that is a token.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/json_object.h"
#include "model/tokenizer/string_map.h"
#include "quant/base/status.h"

namespace rotor {

class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  /// The object under key "vocab" of `model`: token to id. Error: INVALID_ARGUMENT for an empty one
  /// and for ids that are no integers from 0 to 2^31 - 2.
  static Result<Vocabulary> parse(const JsonObject& model);

  int32_t find(std::string_view token) const;
  /// The token of one character.
  int32_t find_character(char32_t point) const {
    return point < characters_.size() ? characters_[point] : kNone;
  }
  /// The token "<0xNN>", two digits in upper case, that byte fallback has for a byte.
  int32_t find_byte(unsigned char byte) const { return bytes_[byte]; }
  int32_t max_id() const { return max_id_; }

 private:
  StringMap<int32_t> tokens_;
  std::vector<int32_t> characters_;  // by code point
  std::array<int32_t, 256> bytes_{};
  int32_t max_id_ = kNone;
};

}  // namespace rotor
