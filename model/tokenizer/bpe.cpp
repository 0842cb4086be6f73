#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "model/tokenizer/utf8.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

// Pieces of a byte-level model are words already: looking for cuts would cost more than it saves.
constexpr size_t kWordBytes = 64;
// So that places fit in 32 bits.
constexpr size_t kMostWordBytes = size_t{1} << 30;

}  // namespace

Status Bpe::append_ids(std::string_view piece, int64_t most_ids, BpeScratch& scratch,
                       std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t whole = vocabulary_.find(piece); whole >= 0) {
      ids.push_back(whole);
      return {};
    }
  }
  while (!piece.empty() && static_cast<int64_t>(ids.size()) < most_ids) {
    const size_t end = piece.size() <= kWordBytes ? piece.size() : first_cut(piece);
    ROTOR_RETURN_IF_ERROR(append_word(piece.substr(0, end), scratch, ids));
    piece.remove_prefix(end);
  }
  return {};
}

/// The first border between two characters that both have a token, and that no merge reaches over.
/// A character without one is left with its neighbours: what becomes of it may depend on them.
size_t Bpe::first_cut(std::string_view piece) const {
  char32_t last = 0;
  bool last_is_known = false;
  for (size_t at = 0; at < piece.size(); at += utf8_length_at(piece, at)) {
    const char32_t point = utf8_code_point_at(piece, at);
    const bool is_known = vocabulary_.find_character(point) >= 0;
    if (last_is_known && is_known && !merges_.may_join(last, point)) {
      return at;
    }
    last = point;
    last_is_known = is_known;
  }
  return piece.size();
}

Status Bpe::append_word(std::string_view word, BpeScratch& scratch,
                        std::vector<int32_t>& ids) const {
  if (word.size() > kMostWordBytes) {
    return resource_exhausted(
               "the tokenizer finds no place to cut in 1 GiB of text: put line ends "
               "or spaces into it")
        .with_reason("TEXT_TOO_LARGE");
  }
  if (const std::vector<int32_t>* known = scratch.cache.find(word); known != nullptr) {
    ids.insert(ids.end(), known->begin(), known->end());
    return {};
  }
  scratch.word.clear();
  ROTOR_RETURN_IF_ERROR(split_characters(word, scratch.word));
  merge_all(scratch);
  scratch.cache.insert(word, scratch.word);
  ids.insert(ids.end(), scratch.word.begin(), scratch.word.end());
  return {};
}

Status Bpe::split_characters(std::string_view word, std::vector<int32_t>& ids) const {
  // As the tokenizers library has it, an unknown token is held back until the next character that
  // has a token of its own, or the end: tokens of bytes come before it.
  bool held_back = false;
  for (size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, utf8_length_at(word, at));
    const int32_t id = vocabulary_.find_character(utf8_code_point_at(word, at));
    at += character.size();
    if (id < 0 && byte_fallback_ && append_bytes(character, ids)) {
      continue;
    }
    if (id < 0 && unknown_id_ < 0) {
      return invalid_argument("the tokenizer has no token for " + printable(character) +
                              " and no unknown token: remove the character from the text")
          .with_reason("UNTOKENIZABLE_TEXT");
    }
    if (held_back && (id >= 0 || !fuse_unknown_)) {
      ids.push_back(unknown_id_);
    }
    held_back = id < 0;
    if (id >= 0) {
      ids.push_back(id);
    }
  }
  if (held_back) {
    ids.push_back(unknown_id_);
  }
  return {};
}

/// All of them or none.
bool Bpe::append_bytes(std::string_view character, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  for (const char c : character) {
    const int32_t id = vocabulary_.find_byte(static_cast<unsigned char>(c));
    if (id < 0) {
      ids.resize(before);
      return false;
    }
    ids.push_back(id);
  }
  return true;
}

void Bpe::merge_all(BpeScratch& scratch) const {
  // A linked list over the ids; merged-away places are marked by next = kGone.
  constexpr int32_t kNone = -1;
  constexpr int32_t kGone = -2;
  std::vector<int32_t>& ids = scratch.word;
  std::vector<int32_t>& next = scratch.next;
  std::vector<int32_t>& previous = scratch.previous;
  std::vector<uint64_t>& candidates = scratch.candidates;
  const auto find_at = [&](int32_t left) {
    const int32_t right = next[static_cast<size_t>(left)];
    return right < 0
               ? nullptr
               : merges_.find(ids[static_cast<size_t>(left)], ids[static_cast<size_t>(right)]);
  };
  const auto candidate = [](int32_t rank, int32_t left) {
    return uint64_t{static_cast<uint32_t>(rank)} << 32 | static_cast<uint32_t>(left);
  };
  const auto count = static_cast<int32_t>(ids.size());
  next.resize(ids.size());
  previous.resize(ids.size());
  candidates.clear();
  for (int32_t i = 0; i < count; ++i) {
    next[static_cast<size_t>(i)] = i + 1 < count ? i + 1 : kNone;
    previous[static_cast<size_t>(i)] = i - 1;
    if (const auto* merge = find_at(i); merge != nullptr) {
      candidates.push_back(candidate(merge->rank, i));
    }
  }
  std::ranges::make_heap(candidates, std::greater<>());
  const auto offer = [&](int32_t left) {
    if (const auto* merge = find_at(left); merge != nullptr) {
      candidates.push_back(candidate(merge->rank, left));
      std::ranges::push_heap(candidates, std::greater<>());
    }
  };
  while (!candidates.empty()) {
    std::ranges::pop_heap(candidates, std::greater<>());
    const auto rank = static_cast<int32_t>(candidates.back() >> 32);
    const auto left = static_cast<int32_t>(candidates.back() & 0xFFFFFFFFU);
    candidates.pop_back();
    // Stale unless the two that are here now are the two that were.
    const auto* merge = find_at(left);
    if (merge == nullptr || merge->rank != rank) {
      continue;
    }
    const auto at = static_cast<size_t>(left);
    const auto right = static_cast<size_t>(next[at]);
    const int32_t after = next[right];
    ids[at] = merge->id;
    next[at] = after;
    next[right] = kGone;
    if (after >= 0) {
      previous[static_cast<size_t>(after)] = left;
      offer(left);
    }
    if (previous[at] >= 0) {
      offer(previous[at]);
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (next[i] != kGone) {
      ids[kept++] = ids[i];
    }
  }
  ids.resize(kept);
}

}  // namespace rotor
