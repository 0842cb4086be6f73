// Patterns over module names: globs (*, ?, [...]) over the whole name, and regular expressions
// behind "re:", as the recipes of llm-compressor have them: Python's, matched from the name's
// start.
//
// Thread-safety: const members from any thread. Errors: INVALID_ARGUMENT, reason BAD_PATTERN, for a
// regular expression that is none; UNIMPLEMENTED for any in a build without ICU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor {

class NamePattern {
 public:
  static Result<NamePattern> parse(const std::string& text);

  const std::string& text() const { return text_; }
  bool matches(const std::string& name) const { return matches_(name); }

 private:
  NamePattern(std::string text, std::function<bool(const std::string&)> matches)
      : text_(std::move(text)), matches_(std::move(matches)) {}

  std::string text_;
  std::function<bool(const std::string&)> matches_;
};

Result<std::vector<NamePattern>> parse_name_patterns(const std::vector<std::string>& texts);

/// Of a regular expression; made with ICU or refused without it.
Result<std::function<bool(const std::string&)>> regex_name_matcher(const std::string& expression);

}  // namespace rotor
