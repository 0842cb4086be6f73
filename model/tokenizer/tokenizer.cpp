#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/json_object.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/post_processor.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/utf8.h"
#include "quant/base/json.h"
#include "quant/io/file.h"

namespace rotor {
namespace {

constexpr int64_t kMostFileBytes = int64_t{1} << 28;

/// What one call of encode needs for itself.
struct Scratch {
  std::unique_ptr<Normalizer> normalizer;  // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  BpeScratch bpe;
};

class BpeTokenizer final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> parse(const JsonObject& file) {
    ROTOR_ASSIGN_OR_RETURN(Bpe bpe, Bpe::parse(file));
    auto tokenizer = std::unique_ptr<BpeTokenizer>(new BpeTokenizer(std::move(bpe)));
    ROTOR_ASSIGN_OR_RETURN(tokenizer->prototype_.normalizer, parse_normalizer(file));
    ROTOR_ASSIGN_OR_RETURN(tokenizer->prototype_.pre_tokenizer, parse_pre_tokenizer(file));
    ROTOR_ASSIGN_OR_RETURN(tokenizer->post_processor_, parse_post_processor(file));
    ROTOR_RETURN_IF_ERROR(tokenizer->parse_added_tokens(file));
    return std::unique_ptr<Tokenizer>(std::move(tokenizer));
  }

  int64_t vocab_size() const override { return vocab_size_; }

  Result<std::vector<int32_t>> encode(std::string_view text, int64_t max_ids,
                                      bool special_tokens) const override {
    if (const size_t valid = valid_utf8_prefix(text); valid < text.size()) {
      return invalid_argument("the text is not UTF-8 at byte " + std::to_string(valid) +
                              ": convert it, for example with iconv")
          .with_reason("INVALID_UTF8")
          .with_detail("offset", std::to_string(valid));
    }
    std::unique_ptr<Scratch> scratch = take_scratch();
    Result<std::vector<int32_t>> ids = encode_with(*scratch, text, max_ids, special_tokens);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(scratch));
    return ids;
  }

 private:
  Status parse_added_tokens(const JsonObject& file);

  std::unique_ptr<Scratch> take_scratch() const {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      auto made = std::make_unique<Scratch>();
      made->normalizer = prototype_.normalizer ? prototype_.normalizer->clone() : nullptr;
      made->pre_tokenizer = prototype_.pre_tokenizer->clone();
      return made;
    }
    std::unique_ptr<Scratch> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }

  Result<std::vector<int32_t>> encode_with(Scratch& scratch, std::string_view text, int64_t max_ids,
                                           bool special_tokens) const;
  Status encode_plain(Scratch& scratch, const Piece& text, int64_t max_ids,
                      std::vector<int32_t>& ids) const;

  explicit BpeTokenizer(Bpe bpe)
      : bpe_(std::move(bpe)), vocab_size_(int64_t{bpe_.vocabulary().max_id()} + 1) {}

  Bpe bpe_;
  AddedTokens raw_tokens_;         // found in the text as it is
  AddedTokens normalized_tokens_;  // found in the normalized text
  PostProcessor post_processor_;
  int64_t vocab_size_ = 0;
  Scratch prototype_;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

/// How the sinks below say that there are enough ids; never leaves encode.
Status enough_ids() {
  return cancelled("enough token ids");
}

Status BpeTokenizer::encode_plain(Scratch& scratch, const Piece& text, int64_t max_ids,
                                  std::vector<int32_t>& ids) const {
  return scratch.pre_tokenizer->split(text, [&](const Piece& piece) {
    ROTOR_RETURN_IF_ERROR(bpe_.append_ids(piece.text, max_ids, scratch.bpe, ids));
    return static_cast<int64_t>(ids.size()) >= max_ids ? enough_ids() : Status();
  });
}

Result<std::vector<int32_t>> BpeTokenizer::encode_with(Scratch& scratch, std::string_view text,
                                                       int64_t max_ids, bool special_tokens) const {
  std::vector<int32_t> ids = special_tokens ? post_processor_.before : std::vector<int32_t>();
  const auto add_token = [&](int32_t id) {
    ids.push_back(id);
    return static_cast<int64_t>(ids.size()) >= max_ids ? enough_ids() : Status();
  };
  const auto encode_piece = [&](const Piece& piece) {
    return encode_plain(scratch, piece, max_ids, ids);
  };
  NormalizedText normalized;
  const auto encode_section = [&](const Piece& section) -> Status {
    if (!scratch.normalizer) {
      return normalized_tokens_.split(section, encode_piece, add_token);
    }
    normalized.text = section.text;
    normalized.at_start = section.at_start;
    ROTOR_RETURN_IF_ERROR(scratch.normalizer->apply(normalized));
    return normalized_tokens_.split({normalized.text, normalized.at_start}, encode_piece,
                                    add_token);
  };
  const Status status = raw_tokens_.split({text, true}, encode_section, add_token);
  if (status.code() == Code::kCancelled) {
    return ids;
  }
  ROTOR_RETURN_IF_ERROR(status);
  if (special_tokens) {
    ids.insert(ids.end(), post_processor_.after.begin(), post_processor_.after.end());
  }
  return ids;
}

Status BpeTokenizer::parse_added_tokens(const JsonObject& file) {
  if (!file.has("added_tokens")) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const auto elements, file.array("added_tokens"));
  for (size_t i = 0; i < elements.size(); ++i) {
    const std::string where = "added_tokens[" + std::to_string(i) + "]";
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object,
                           JsonObject::make(*elements[i], file.file(), where, file.reason()));
    AddedToken token;
    ROTOR_ASSIGN_OR_RETURN(const int64_t id, object.integer("id", 0, (int64_t{1} << 31) - 2));
    token.id = static_cast<int32_t>(id);
    ROTOR_ASSIGN_OR_RETURN(token.content, object.string("content"));
    ROTOR_ASSIGN_OR_RETURN(token.single_word, object.boolean_or("single_word", false));
    ROTOR_ASSIGN_OR_RETURN(token.lstrip, object.boolean_or("lstrip", false));
    ROTOR_ASSIGN_OR_RETURN(token.rstrip, object.boolean_or("rstrip", false));
    ROTOR_ASSIGN_OR_RETURN(const bool special, object.boolean_or("special", false));
    ROTOR_ASSIGN_OR_RETURN(token.normalized, object.boolean_or("normalized", !special));
    const int32_t in_vocabulary = bpe_.vocabulary().find(token.content);
    if (in_vocabulary >= 0 && in_vocabulary != token.id) {
      return object.error("id", "the vocabulary has this token as " +
                                    std::to_string(in_vocabulary) +
                                    ": the file contradicts itself");
    }
    vocab_size_ = std::max(vocab_size_, id + 1);
    if (token.normalized && prototype_.normalizer) {
      NormalizedText content{std::move(token.content)};
      ROTOR_RETURN_IF_ERROR(prototype_.normalizer->apply(content));
      token.content = std::move(content.text);
    }
    (token.normalized ? normalized_tokens_ : raw_tokens_).add(token);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path) {
  const Result<std::string> text = read_whole_file(posix_file_system(), path, kMostFileBytes);
  if (text.status().code() == Code::kNotFound) {
    return not_found(
               path +
               ": no such file, and no other tokenizer is read (tokenizer.model, tekken.json): "
               "write it from them with Python (pip install transformers sentencepiece "
               "protobuf tiktoken),\n"
               "    from transformers import AutoTokenizer\n"
               "    AutoTokenizer.from_pretrained(\"MODEL\").save_pretrained(\"MODEL\")\n"
               "or give JSON lines with \"input_ids\", which need none")
        .with_reason("NO_TOKENIZER")
        .with_detail("file", path);
  }
  ROTOR_RETURN_IF_ERROR(text.status());
  return parse_tokenizer(*text, path);
}

Result<std::unique_ptr<Tokenizer>> parse_tokenizer(std::string_view text, const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json root, parse_json(text, path));
  ROTOR_ASSIGN_OR_RETURN(const JsonObject file, JsonObject::make(root, path, "", "BAD_TOKENIZER"));
  return BpeTokenizer::parse(file);
}

}  // namespace rotor
