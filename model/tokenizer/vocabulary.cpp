#include "model/tokenizer/vocabulary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "model/tokenizer/utf8.h"

namespace rotor {
namespace {

constexpr int64_t kMostId = (int64_t{1} << 31) - 2;

std::string byte_token(size_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
}

}  // namespace

Result<Vocabulary> Vocabulary::parse(const JsonObject& model) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, model.object("vocab"));
  const nlohmann::json& entries = *model.find("vocab");
  if (entries.empty()) {
    return model.error("vocab", "it must hold tokens");
  }
  Vocabulary made;
  made.tokens_.reserve(entries.size());
  for (const auto& [token, value] : entries.items()) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t wide, object.integer(token, 0, kMostId));
    const auto id = static_cast<int32_t>(wide);
    made.tokens_.emplace(token, id);
    made.max_id_ = std::max(made.max_id_, id);
    if (!token.empty() && utf8_length_at(token, 0) == token.size()) {
      const char32_t point = utf8_code_point_at(token, 0);
      if (point >= made.characters_.size()) {
        made.characters_.resize(size_t{point} + 1, kNone);
      }
      made.characters_[point] = id;
    }
  }
  for (size_t byte = 0; byte < made.bytes_.size(); ++byte) {
    made.bytes_[byte] = made.find(byte_token(byte));
  }
  return made;
}

int32_t Vocabulary::find(std::string_view token) const {
  const auto found = tokens_.find(token);
  return found == tokens_.end() ? kNone : found->second;
}

}  // namespace rotor
