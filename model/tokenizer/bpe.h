// The BPE model of a tokenizer.json: turns a piece of text into ids by merging neighbours, the pair
// with the lowest rank first, the leftmost of equal ones.
//
// Thread-safety: const members from any thread; each thread brings its own WordCache.
// Cost: O(n log n) in the length of a piece; a piece that was seen before is one look-up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/json_object.h"
#include "model/tokenizer/string_map.h"
#include "quant/base/status.h"

namespace rotor {

/// Ids of the pieces that were seen lately, bounded.
class WordCache {
 public:
  /// Null if the piece is not there.
  const std::vector<int32_t>* find(std::string_view piece) const;
  void insert(std::string_view piece, const int32_t* ids, size_t count);

 private:
  StringMap<std::vector<int32_t>> words_;
};

class Bpe {
 public:
  /// The model under key "model" of `tokenizer`. Errors: UNIMPLEMENTED for another type of model,
  /// byte_fallback, dropout, prefixes or suffixes of subwords; INVALID_ARGUMENT for a merge of what
  /// is not in the vocabulary, an unknown token that is not, ids out of range.
  static Result<Bpe> parse(const JsonObject& tokenizer);

  /// Appends the ids of `piece` (valid UTF-8, not empty). Error: INVALID_ARGUMENT, reason
  /// UNTOKENIZABLE_TEXT, for a character without a token where there is no unknown token.
  Status append_ids(std::string_view piece, WordCache& cache, std::vector<int32_t>& ids) const;

  /// -1 if there is none.
  int32_t find_token(std::string_view token) const;
  int32_t max_id() const { return max_id_; }

 private:
  struct Merge {
    int32_t rank = 0;
    int32_t id = 0;
  };

  Status parse_vocabulary(const JsonObject& model);
  Status parse_merges(const JsonObject& model);
  Status add_merge(const JsonObject& model, size_t rank, std::string_view left,
                   std::string_view right);
  Status split_characters(std::string_view piece, std::vector<int32_t>& ids) const;
  const Merge* find_merge(int32_t left, int32_t right) const;
  void merge_all(std::vector<int32_t>& ids) const;

  StringMap<int32_t> vocabulary_;
  std::unordered_map<uint64_t, Merge> merges_;  // by left id << 32 | right id
  int32_t max_id_ = -1;
  int32_t unknown_id_ = -1;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
};

}  // namespace rotor
