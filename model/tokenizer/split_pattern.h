// Where a pattern matches in a text: the regular expressions and literal strings of tokenizer.json.
//
// Thread-safety: an object serves one thread at a time; clone() gives another one that shares what
// was compiled. Cost: some 10 MB of text a second for a regular expression. A long text is searched
// in blocks, so the UTF-16 copy that ICU needs stays small; the matches are those of the whole
// text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "model/json_object.h"
#include "quant/base/status.h"

namespace rotor {

/// Takes a stretch of the text; an error ends the search and is handed on.
using SegmentSink = std::function<Status(std::string_view segment, bool is_match)>;

class SplitPattern {
 public:
  virtual ~SplitPattern() = default;
  virtual std::unique_ptr<SplitPattern> clone() const = 0;
  /// Hands out `text` (valid UTF-8), from left to right and without a gap: each match, and what
  /// lies between two matches. Error: RESOURCE_EXHAUSTED where a regular expression takes too long.
  virtual Status segments(std::string_view text, const SegmentSink& sink) = 0;
};

/// Error: UNIMPLEMENTED for what icu_pattern_from_oniguruma refuses or ICU cannot compile.
Result<std::unique_ptr<SplitPattern>> make_regex_pattern(const std::string& oniguruma);

/// The same for a component of a tokenizer.json; errors name its file.
Result<std::unique_ptr<SplitPattern>> make_regex_pattern_of(const JsonObject& owner,
                                                            const std::string& oniguruma);

/// The pattern under key "pattern" of a component: {"Regex": ...} or {"String": ...}.
Result<std::unique_ptr<SplitPattern>> parse_split_pattern(const JsonObject& owner);

}  // namespace rotor
