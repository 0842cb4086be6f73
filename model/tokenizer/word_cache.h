// The ids of the words that were seen lately.
//
// Thread-safety: one thread at a time. Cost: bounded, some 20 MB; when it is full all is forgotten,
// and what is still in use comes back first.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/tokenizer/string_map.h"

namespace rotor {

class WordCache {
 public:
  /// Null if the word is not there.
  const std::vector<int32_t>* find(std::string_view word) const;
  /// Remembers a word that is not there yet, unless it is too long to come again.
  void insert(std::string_view word, std::span<const int32_t> ids);

 private:
  StringMap<std::vector<int32_t>> words_;
};

}  // namespace rotor
