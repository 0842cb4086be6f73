#include <unicode/regex.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "model/tokenizer/oniguruma.h"
#include "model/tokenizer/split_pattern.h"
#include "model/tokenizer/utf8.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

constexpr size_t kBlockBytes = size_t{64} << 10;
// What a lookbehind can see of the text before a block.
constexpr size_t kLookBehindBytes = 256;
// ICU counts steps of its engine, 10,000 states kept for a retreat each (about 1 ms), so the limit
// is the same on every machine. Useful patterns need a few states a character; this allows 200.
constexpr int32_t kMostSteps = 1'000;
constexpr int32_t kUnitsPerStep = 50;
constexpr int32_t kMostStackBytes = 256 << 20;

int64_t utf8_bytes(const char16_t* units, int32_t count) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < count; ++i) {
    const char16_t unit = units[i];
    // A surrogate is half of a character of 4 bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xF800) == 0xD800 ? 2 : 3;
  }
  return bytes;
}

class RegexSplitPattern final : public SplitPattern {
 public:
  static Result<std::unique_ptr<SplitPattern>> compile(const std::string& oniguruma) {
    ROTOR_ASSIGN_OR_RETURN(const std::string translated, icu_pattern_from_oniguruma(oniguruma));
    UErrorCode code = U_ZERO_ERROR;
    UParseError where{};
    std::shared_ptr<const icu::RegexPattern> pattern(
        icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(translated),
                                   UREGEX_MULTILINE | UREGEX_UNIX_LINES, where, code));
    if (U_FAILURE(code) != 0) {
      return unimplemented("regular expression " + printable(oniguruma) + " cannot be used (" +
                           u_errorName(code) + " at character " + std::to_string(where.offset) +
                           ")")
          .with_reason("UNSUPPORTED_TOKENIZER");
    }
    return make(std::move(pattern), oniguruma);
  }

  std::unique_ptr<SplitPattern> clone() const override { return make(pattern_, source_); }

  Status segments(std::string_view text, const SegmentSink& sink) override {
    size_t done = 0;
    size_t block = kBlockBytes;
    last_match_end_ = text.size() + 1;
    while (done < text.size()) {
      const size_t before = done;
      ROTOR_RETURN_IF_ERROR(search_block(text, block, done, sink));
      // What is matched next reaches beyond the block.
      block = done == before ? block * 2 : kBlockBytes;
    }
    return {};
  }

 private:
  static std::unique_ptr<SplitPattern> make(std::shared_ptr<const icu::RegexPattern> pattern,
                                            std::string source) {
    auto made = std::unique_ptr<RegexSplitPattern>(new RegexSplitPattern());
    UErrorCode code = U_ZERO_ERROR;
    made->matcher_.reset(pattern->matcher(code));
    made->matcher_->setStackLimit(kMostStackBytes, code);
    // The block is a part of the text: a lookbehind sees what is before it, and ^ is not its start.
    made->matcher_->useTransparentBounds(true);
    made->matcher_->useAnchoringBounds(false);
    made->pattern_ = std::move(pattern);
    made->source_ = std::move(source);
    return made;
  }

  /// Appends text to units_. The text is valid and shorter than 2^31, so this cannot fail.
  void append_units(std::string_view text) {
    const size_t old_size = units_.size();
    units_.resize(old_size + text.size());
    int32_t count = 0;
    UErrorCode code = U_ZERO_ERROR;
    u_strFromUTF8(units_.data() + old_size, static_cast<int32_t>(text.size()), &count, text.data(),
                  static_cast<int32_t>(text.size()), &code);
    units_.resize(old_size + static_cast<size_t>(count));
  }

  /// Hands out matches from `done` on, as far as they cannot depend on what follows the block, and
  /// moves done behind them.
  Status search_block(std::string_view text, size_t block, size_t& done, const SegmentSink& sink) {
    const size_t begin = utf8_boundary_before(text, done - std::min(done, kLookBehindBytes));
    const size_t end = utf8_boundary_before(text, std::min(text.size(), done + block));
    if (end - begin > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      return resource_exhausted("regular expression " + printable(source_) +
                                ": no place to cut in 2 GiB of text")
          .with_reason("TEXT_TOO_LARGE");
    }
    units_.clear();
    append_units(text.substr(begin, done - begin));
    auto unit = static_cast<int32_t>(units_.size());
    append_units(text.substr(done, end - done));

    const icu::UnicodeString input(false, units_.data(), static_cast<int32_t>(units_.size()));
    UErrorCode code = U_ZERO_ERROR;
    matcher_->reset(input);
    matcher_->setTimeLimit(kMostSteps + input.length() / kUnitsPerStep, code);
    matcher_->region(unit, static_cast<int64_t>(units_.size()), code);
    const bool is_last = end == text.size();
    while (matcher_->find(code) != 0) {
      const int32_t match_begin = matcher_->start(code);
      const int32_t match_end = matcher_->end(code);
      // ICU tells for the attempt that matched whether it looked past the end, not for those that
      // failed before it; where there were any, only the last block is safe.
      if (!is_last && (matcher_->hitEnd() != 0 || match_begin != unit)) {
        return {};
      }
      const size_t first =
          done + static_cast<size_t>(utf8_bytes(units_.data() + unit, match_begin - unit));
      const size_t last = first + static_cast<size_t>(utf8_bytes(units_.data() + match_begin,
                                                                 match_end - match_begin));
      // Like Oniguruma's iterator: no empty match right behind another match.
      if (first == last && first == last_match_end_) {
        continue;
      }
      if (first > done) {
        ROTOR_RETURN_IF_ERROR(sink(text.substr(done, first - done), false));
      }
      ROTOR_RETURN_IF_ERROR(sink(text.substr(first, last - first), true));
      done = last;
      last_match_end_ = last;
      unit = match_end;
    }
    if (U_FAILURE(code) != 0) {
      return resource_exhausted("regular expression " + printable(source_) +
                                " of the tokenizer takes too long on the text (" +
                                u_errorName(code) + ")")
          .with_reason("REGEX_LIMIT");
    }
    if (is_last && done < text.size()) {
      ROTOR_RETURN_IF_ERROR(sink(text.substr(done), false));
      done = text.size();
    }
    return {};
  }

  std::shared_ptr<const icu::RegexPattern> pattern_;  // outlives matcher_
  std::unique_ptr<icu::RegexMatcher> matcher_;
  std::string source_;
  std::vector<char16_t> units_;  // UTF-16 of the block
  size_t last_match_end_ = 0;    // bytes; beyond the text: none yet
};

}  // namespace

Result<std::unique_ptr<SplitPattern>> make_regex_pattern(const std::string& oniguruma) {
  return RegexSplitPattern::compile(oniguruma);
}

}  // namespace rotor
