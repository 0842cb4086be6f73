// The reader of tokenizer.json, and the encoding of any bytes.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/utf8.h"
#include "tests/fuzz/targets.h"

namespace rotor::fuzz {
namespace {

using Ids = std::vector<int32_t>;

/// Encodes, and checks what holds for every tokenizer and text.
void check_encoding(const Tokenizer& tokenizer, std::string_view text) {
  const auto all = tokenizer.encode(text);
  check_status(all.status());
  const size_t valid = valid_utf8_prefix(text);
  if (valid < text.size()) {
    check(all.status().reason() == "INVALID_UTF8", "text that is not UTF-8 was taken");
    check(all.status().details().at("offset") == std::to_string(valid), "another offset");
    return;
  }
  if (!all.ok()) {
    return;
  }
  check(
      std::ranges::all_of(*all, [&](int32_t id) { return id >= 0 && id < tokenizer.vocab_size(); }),
      "an id outside the vocabulary");
  check(tokenizer.encode(text).value() == *all, "other ids the second time");
  const size_t some = all->size() / 2;
  const auto first = tokenizer.encode(text, static_cast<int64_t>(some));
  check(first.ok() && first->size() >= some &&
            std::equal(first->begin(), first->begin() + static_cast<int64_t>(some), all->begin()),
        "other ids where only some are wanted");
}

std::unique_ptr<Tokenizer> open(const std::string& name) {
  auto opened = open_tokenizer(std::string(ROTOR_SOURCE_DIR) + "/" + name);
  check(opened.ok(), opened.status().to_string());
  return std::move(opened).value();
}

}  // namespace

/// The bytes before the first NUL are a tokenizer.json, those behind it a text for it.
void tokenizer(std::string_view input) {
  const size_t end = std::min(input.find('\0'), input.size());
  const auto parsed = parse_tokenizer(input.substr(0, end), "m/tokenizer.json");
  check_status(parsed.status());
  if (!parsed.ok()) {
    return;
  }
  check_encoding(**parsed, input.substr(std::min(end + 1, input.size())));
  check_encoding(**parsed, "The quick 中文 e\u0301 \u00e9\n\n  12345 don't <s>\t\u2581!");
}

void encode(std::string_view input) {
  static const std::unique_ptr<Tokenizer> of_bytes = open("demo/model/tokenizer.json");
  static const std::unique_ptr<Tokenizer> of_characters =
      open("tests/data/tokenizer/characters.json");
  check_encoding(*of_bytes, input);
  check_encoding(*of_characters, input);
}

}  // namespace rotor::fuzz
