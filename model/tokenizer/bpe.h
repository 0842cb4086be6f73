// The BPE model of a tokenizer.json: turns a piece of text into ids by merging neighbours, the pair
// with the lowest rank first, the leftmost of equal ones.
//
// A model of bytes (GPT-2's) gets pieces in the alphabet of byte_level.h; a model of characters
// (SentencePiece's) gets them as they are, and has for a character without a token those of its
// bytes (byte_fallback) or the unknown token. Such a model may get a whole document as one piece:
// it is cut where no merge can reach over, which gives the same ids, and lets words be remembered.
//
// Thread-safety: const members from any thread; each thread brings its own BpeScratch.
// Cost: O(n log n) in the length of a stretch between two such cuts; a stretch that was seen before
// is one look-up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/json_object.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/vocabulary.h"
#include "model/tokenizer/word_cache.h"
#include "quant/base/status.h"

namespace rotor {

/// What one thread's calls of append_ids need.
struct BpeScratch {
  WordCache cache;
  std::vector<int32_t> word;
  std::vector<int32_t> next;
  std::vector<int32_t> previous;
  std::vector<uint64_t> candidates;  // rank << 32 | place of the left one
};

class Bpe {
 public:
  /// The model under key "model" of `tokenizer`. Errors: UNIMPLEMENTED for another type of model,
  /// dropout, prefixes or suffixes of subwords; INVALID_ARGUMENT for a merge of what is not in the
  /// vocabulary, an unknown token that is not, ids out of range.
  static Result<Bpe> parse(const JsonObject& tokenizer);

  /// Appends the ids of `piece` (valid UTF-8, not empty); may stop where ids holds most_ids.
  /// Errors: INVALID_ARGUMENT, reason UNTOKENIZABLE_TEXT, for a character without a token where
  /// there is no unknown token; RESOURCE_EXHAUSTED for 1 GiB without a place to cut.
  Status append_ids(std::string_view piece, int64_t most_ids, BpeScratch& scratch,
                    std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Bpe(Vocabulary vocabulary, size_t merges) : vocabulary_(std::move(vocabulary)), merges_(merges) {}

  Status add_merges(const JsonObject& model, const std::vector<const nlohmann::json*>& merges);
  Status add_merge(const JsonObject& model, size_t rank, std::string_view left,
                   std::string_view right);
  size_t first_cut(std::string_view piece) const;
  Status append_word(std::string_view word, BpeScratch& scratch, std::vector<int32_t>& ids) const;
  Status split_characters(std::string_view word, std::vector<int32_t>& ids) const;
  bool append_bytes(std::string_view character, std::vector<int32_t>& ids) const;
  void merge_all(BpeScratch& scratch) const;

  Vocabulary vocabulary_;
  MergeTable merges_;
  int32_t unknown_id_ = Vocabulary::kNone;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

}  // namespace rotor
