// Tokens that are found in the text itself, before it is normalized or cut: the special tokens and
// whatever else was added to a vocabulary by hand.
//
// Where several match, the leftmost wins, then the longest. single_word: only where no letter,
// digit or underscore touches it; lstrip, rstrip: white space to its left, right belongs to it.
//
// Thread-safety: const members from any thread. Cost: one look at each byte, and at bytes that some
// token begins with one look-up for each length that such tokens have.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/piece.h"
#include "model/tokenizer/string_map.h"
#include "quant/base/status.h"

namespace rotor {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;  // found in the normalized text
};

class AddedTokens {
 public:
  /// A token without content is never found. Of two with the same content the later counts.
  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }

  /// Hands out `input` from left to right: what is between the tokens to `plain` (never empty),
  /// each token to `token`.
  Status split(const Piece& input, const PieceSink& plain,
               const std::function<Status(int32_t id)>& token) const;

 private:
  /// The longest token that text has at `at`; null: none.
  const AddedToken* match_at(std::string_view text, size_t at) const;

  StringMap<AddedToken> tokens_;                  // by content
  std::array<std::vector<size_t>, 256> lengths_;  // by first byte, descending
};

}  // namespace rotor
