#include <unicode/regex.h>

#include <memory>
#include <string>

#include "model/name_pattern.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

// Of ICU's engine, 10,000 states each: a pattern that needs more on one name is a mistake.
constexpr int32_t kMostSteps = 100;

/// Python writes a named group (?P<name>...), ICU without the P.
std::string icu_expression(std::string expression) {
  for (size_t at = expression.find("(?P<"); at != std::string::npos;
       at = expression.find("(?P<", at + 1)) {
    expression.erase(at + 2, 1);
  }
  return expression;
}

Status bad_pattern(const std::string& expression, const std::string& what) {
  return invalid_argument("pattern " + printable("re:" + expression) + " " + what)
      .with_reason("BAD_PATTERN")
      .with_detail("pattern", "re:" + expression);
}

Result<bool> matches_at_start(const icu::RegexPattern& pattern, const std::string& expression,
                              const std::string& name) {
  UErrorCode code = U_ZERO_ERROR;
  const icu::UnicodeString text = icu::UnicodeString::fromUTF8(name);
  const std::unique_ptr<icu::RegexMatcher> matcher(pattern.matcher(text, code));
  bool found = false;
  if (U_SUCCESS(code) != 0) {
    matcher->setTimeLimit(kMostSteps, code);
    found = matcher->lookingAt(code) != 0;
  }
  if (U_FAILURE(code) != 0) {
    return bad_pattern(expression, "cannot be held against " + name + " (" + u_errorName(code) +
                                       "): repeat less inside what is repeated, or give a glob "
                                       "such as '*.down_proj'");
  }
  return found;
}

}  // namespace

Result<NameMatcher> regex_name_matcher(const std::string& expression) {
  UErrorCode code = U_ZERO_ERROR;
  UParseError where{};
  const std::shared_ptr<const icu::RegexPattern> pattern(icu::RegexPattern::compile(
      icu::UnicodeString::fromUTF8(icu_expression(expression)), 0, where, code));
  if (U_FAILURE(code) != 0) {
    return bad_pattern(expression, std::string("is no regular expression (") + u_errorName(code) +
                                       " at character " + std::to_string(where.offset) +
                                       "): correct it, or give a glob such as '*.down_proj'");
  }
  return NameMatcher([pattern, expression](const std::string& name) {
    return matches_at_start(*pattern, expression, name);
  });
}

}  // namespace rotor
