#include "model/tokenizer/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "model/tokenizer/utf8.h"

namespace rotor {
namespace {

/// The characters that a regular expression's \w has.
bool is_word(UChar32 c) {
  constexpr uint32_t kMask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(c) != 0 || (U_GET_GC_MASK(c) & kMask) != 0 || c == 0x200C || c == 0x200D;
}

UChar32 character_at(std::string_view text, size_t at) {
  return static_cast<UChar32>(utf8_code_point_at(text, at));
}

/// Where the character that ends at `end` begins; end > 0.
size_t previous_character(std::string_view text, size_t end) {
  return utf8_boundary_before(text, end - 1);
}

bool touches_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word(character_at(text, previous_character(text, begin)))) ||
         (end < text.size() && is_word(character_at(text, end)));
}

}  // namespace

void AddedTokens::add(const AddedToken& token) {
  if (token.content.empty()) {
    return;
  }
  tokens_[token.content] = token;
  std::vector<size_t>& lengths = lengths_[static_cast<unsigned char>(token.content[0])];
  const auto at =
      std::lower_bound(lengths.begin(), lengths.end(), token.content.size(), std::greater<>());
  if (at == lengths.end() || *at != token.content.size()) {
    lengths.insert(at, token.content.size());
  }
}

const AddedToken* AddedTokens::match_at(std::string_view text, size_t at) const {
  for (const size_t length : lengths_[static_cast<unsigned char>(text[at])]) {
    if (length > text.size() - at) {
      continue;
    }
    const auto found = tokens_.find(text.substr(at, length));
    if (found != tokens_.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

Status AddedTokens::split(const Piece& input, const PieceSink& plain,
                          const std::function<Status(int32_t id)>& token) const {
  const std::string_view text = input.text;
  size_t done = 0;
  size_t at = 0;
  size_t spaces_end = 0;  // of white space that was looked through already
  while (at < text.size()) {
    const AddedToken* found = match_at(text, at);
    if (found == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + found->content.size();
    at = end;
    if (found->single_word && touches_word(text, begin, end)) {
      continue;
    }
    while (found->lstrip && begin > done &&
           u_isUWhiteSpace(character_at(text, previous_character(text, begin))) != 0) {
      begin = previous_character(text, begin);
    }
    if (found->rstrip) {
      end = std::max(end, spaces_end);
      while (end < text.size() && u_isUWhiteSpace(character_at(text, end)) != 0) {
        end += utf8_length_at(text, end);
      }
      spaces_end = end;
    }
    if (begin > done) {
      ROTOR_RETURN_IF_ERROR(plain(input.part(text.substr(done, begin - done))));
    }
    ROTOR_RETURN_IF_ERROR(token(found->id));
    // As the tokenizers library has it, the search goes on behind the token itself: white space
    // that this token took may begin the next one.
    done = end;
  }
  return done < text.size() ? plain(input.part(text.substr(done))) : Status();
}

}  // namespace rotor
