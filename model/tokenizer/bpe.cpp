#include "model/tokenizer/bpe.h"

#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "model/tokenizer/utf8.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

constexpr size_t kMostCachedWords = size_t{1} << 16;
constexpr size_t kMostCachedBytes = 256;  // of one word
constexpr int64_t kMostId = (int64_t{1} << 31) - 2;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

/// Settings that change the result and are in no model that is in use today.
Status refuse_unsupported(const JsonObject& model) {
  ROTOR_ASSIGN_OR_RETURN(const bool byte_fallback, model.boolean_or("byte_fallback", false));
  if (byte_fallback) {
    return model.unsupported("byte_fallback", "tokenizers with byte fallback are not supported",
                             "UNSUPPORTED_TOKENIZER");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    ROTOR_ASSIGN_OR_RETURN(const std::string affix, model.string_or(key, ""));
    if (!affix.empty()) {
      return model.unsupported(key, "it is supported only as null or empty",
                               "UNSUPPORTED_TOKENIZER");
    }
  }
  const nlohmann::json* dropout = model.find("dropout");
  if (dropout != nullptr && *dropout != 0) {
    return model.unsupported("dropout", "it is supported only as null or 0",
                             "UNSUPPORTED_TOKENIZER");
  }
  return {};
}

}  // namespace

const std::vector<int32_t>* WordCache::find(std::string_view piece) const {
  const auto found = words_.find(piece);
  return found == words_.end() ? nullptr : &found->second;
}

void WordCache::insert(std::string_view piece, const int32_t* ids, size_t count) {
  if (piece.size() > kMostCachedBytes) {
    return;
  }
  if (words_.size() >= kMostCachedWords) {
    words_.clear();
  }
  words_.emplace(piece, std::vector<int32_t>(ids, ids + count));
}

Result<Bpe> Bpe::parse(const JsonObject& tokenizer) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject model, tokenizer.object("model"));
  // GPT-2's file has no type.
  ROTOR_ASSIGN_OR_RETURN(const std::string type, model.string_or("type", "BPE"));
  if (type != "BPE") {
    return model.unsupported("type", "the model supported is BPE", "UNSUPPORTED_TOKENIZER");
  }
  ROTOR_RETURN_IF_ERROR(refuse_unsupported(model));
  Bpe bpe;
  ROTOR_ASSIGN_OR_RETURN(bpe.fuse_unknown_, model.boolean_or("fuse_unk", false));
  ROTOR_ASSIGN_OR_RETURN(bpe.ignore_merges_, model.boolean_or("ignore_merges", false));
  ROTOR_RETURN_IF_ERROR(bpe.parse_vocabulary(model));
  ROTOR_RETURN_IF_ERROR(bpe.parse_merges(model));
  ROTOR_ASSIGN_OR_RETURN(const std::string unknown, model.string_or("unk_token", ""));
  if (!unknown.empty()) {
    bpe.unknown_id_ = bpe.find_token(unknown);
    if (bpe.unknown_id_ < 0) {
      return model.error("unk_token", "it must be in the vocabulary");
    }
  }
  return bpe;
}

Status Bpe::parse_vocabulary(const JsonObject& model) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject vocabulary, model.object("vocab"));
  const nlohmann::json& entries = *model.find("vocab");
  if (entries.empty()) {
    return model.error("vocab", "it must hold tokens");
  }
  vocabulary_.reserve(entries.size());
  for (const auto& [token, value] : entries.items()) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t id, vocabulary.integer(token, 0, kMostId));
    vocabulary_.emplace(token, static_cast<int32_t>(id));
    max_id_ = std::max(max_id_, static_cast<int32_t>(id));
  }
  return {};
}

Status Bpe::parse_merges(const JsonObject& model) {
  ROTOR_ASSIGN_OR_RETURN(const auto merges, model.array("merges"));
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const nlohmann::json& merge = *merges[rank];
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      ROTOR_RETURN_IF_ERROR(add_merge(model, rank, merge[0].get_ref<const std::string&>(),
                                      merge[1].get_ref<const std::string&>()));
      continue;
    }
    const std::string_view text =
        merge.is_string() ? merge.get_ref<const std::string&>() : std::string_view();
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      return model.error("merges", "its element " + std::to_string(rank) + " is " +
                                       brief_json(merge) +
                                       ", not two tokens: \"a b\" or [\"a\", \"b\"]");
    }
    ROTOR_RETURN_IF_ERROR(add_merge(model, rank, text.substr(0, space), text.substr(space + 1)));
  }
  return {};
}

Status Bpe::add_merge(const JsonObject& model, size_t rank, std::string_view left,
                      std::string_view right) {
  const std::string whole = std::string(left) + std::string(right);
  for (const std::string_view token : {left, right, std::string_view(whole)}) {
    if (find_token(token) < 0) {
      return model.error("merges", "its element " + std::to_string(rank) + " needs the token " +
                                       printable(token) + ", which is not in the vocabulary");
    }
  }
  // Of two equal merges the later counts.
  merges_[pair_key(find_token(left), find_token(right))] = {static_cast<int32_t>(rank),
                                                            find_token(whole)};
  return {};
}

int32_t Bpe::find_token(std::string_view token) const {
  const auto found = vocabulary_.find(token);
  return found == vocabulary_.end() ? -1 : found->second;
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

Status Bpe::append_ids(std::string_view piece, WordCache& cache, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t whole = find_token(piece); whole >= 0) {
      ids.push_back(whole);
      return {};
    }
  }
  if (const std::vector<int32_t>* known = cache.find(piece); known != nullptr) {
    ids.insert(ids.end(), known->begin(), known->end());
    return {};
  }
  std::vector<int32_t> word;
  ROTOR_RETURN_IF_ERROR(split_characters(piece, word));
  merge_all(word);
  cache.insert(piece, word.data(), word.size());
  ids.insert(ids.end(), word.begin(), word.end());
  return {};
}

Status Bpe::split_characters(std::string_view piece, std::vector<int32_t>& ids) const {
  ids.reserve(piece.size());
  bool after_unknown = false;
  for (size_t at = 0; at < piece.size();) {
    const size_t length = utf8_length_at(piece, at);
    const std::string_view character = piece.substr(at, length);
    at += length;
    const int32_t id = find_token(character);
    if (id < 0 && unknown_id_ < 0) {
      return invalid_argument("the tokenizer has no token for " + printable(character) +
                              " and no unknown token: remove the character from the text")
          .with_reason("UNTOKENIZABLE_TEXT");
    }
    if (id >= 0 || !fuse_unknown_ || !after_unknown) {
      ids.push_back(id >= 0 ? id : unknown_id_);
    }
    after_unknown = id < 0;
  }
  return {};
}

void Bpe::merge_all(std::vector<int32_t>& ids) const {
  // A linked list over the ids; merged-away places are marked by next = kGone.
  constexpr int32_t kNone = -1;
  constexpr int32_t kGone = -2;
  const auto count = static_cast<int32_t>(ids.size());
  std::vector<int32_t> next(ids.size());
  std::vector<int32_t> previous(ids.size());
  using Candidate = std::tuple<int32_t, int32_t, int32_t>;  // rank, place of the left one, new id
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto offer = [&](int32_t left, int32_t right) {
    const Merge* merge =
        find_merge(ids[static_cast<size_t>(left)], ids[static_cast<size_t>(right)]);
    if (merge != nullptr) {
      candidates.emplace(merge->rank, left, merge->id);
    }
  };
  for (int32_t i = 0; i < count; ++i) {
    next[static_cast<size_t>(i)] = i + 1 < count ? i + 1 : kNone;
    previous[static_cast<size_t>(i)] = i - 1;
    if (i + 1 < count) {
      offer(i, i + 1);
    }
  }
  while (!candidates.empty()) {
    const auto [rank, left, id] = candidates.top();
    candidates.pop();
    const auto at = static_cast<size_t>(left);
    const int32_t right = next[at];
    if (right < 0) {
      continue;
    }
    // Stale unless the two that are here now still make the same token.
    const Merge* merge = find_merge(ids[at], ids[static_cast<size_t>(right)]);
    if (merge == nullptr || merge->id != id) {
      continue;
    }
    ids[at] = id;
    const int32_t after = next[static_cast<size_t>(right)];
    next[at] = after;
    next[static_cast<size_t>(right)] = kGone;
    if (after >= 0) {
      previous[static_cast<size_t>(after)] = left;
      offer(left, after);
    }
    if (previous[at] >= 0) {
      offer(previous[at], left);
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
