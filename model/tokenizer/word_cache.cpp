#include "model/tokenizer/word_cache.h"

namespace rotor {
namespace {

constexpr size_t kMostWords = size_t{1} << 16;
constexpr size_t kMostBytes = 256;  // of one word

}  // namespace

const std::vector<int32_t>* WordCache::find(std::string_view word) const {
  const auto found = words_.find(word);
  return found == words_.end() ? nullptr : &found->second;
}

void WordCache::insert(std::string_view word, std::span<const int32_t> ids) {
  if (word.size() > kMostBytes) {
    return;
  }
  if (words_.size() >= kMostWords) {
    words_.clear();
  }
  words_.emplace(word, std::vector<int32_t>(ids.begin(), ids.end()));
}

}  // namespace rotor
