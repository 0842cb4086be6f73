// Patterns over module names: globs (*, ?, [...]) over the whole name, and regular expressions
// behind "re:", as the recipes of llm-compressor have them: Python's, matched from the name's
// start.
//
// Thread-safety: const members from any thread. Errors: INVALID_ARGUMENT, reason BAD_PATTERN, for a
// regular expression that is none, and for one that takes too long on a name; UNIMPLEMENTED for any
// in a build without ICU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor {

using NameMatcher = std::function<Result<bool>(const std::string&)>;

class NamePattern {
 public:
  static Result<NamePattern> parse(const std::string& text);

  const std::string& text() const { return text_; }
  Result<bool> matches(const std::string& name) const { return matches_(name); }

 private:
  NamePattern(std::string text, NameMatcher matches)
      : text_(std::move(text)), matches_(std::move(matches)) {}

  std::string text_;
  NameMatcher matches_;
};

Result<std::vector<NamePattern>> parse_name_patterns(const std::vector<std::string>& texts);

/// Of a regular expression; made with ICU or refused without it.
Result<NameMatcher> regex_name_matcher(const std::string& expression);

}  // namespace rotor
