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

bool matches_at_start(const icu::RegexPattern& pattern, const std::string& name) {
  UErrorCode code = U_ZERO_ERROR;
  const icu::UnicodeString text = icu::UnicodeString::fromUTF8(name);
  const std::unique_ptr<icu::RegexMatcher> matcher(pattern.matcher(text, code));
  if (U_FAILURE(code) != 0) {
    return false;
  }
  matcher->setTimeLimit(kMostSteps, code);
  const bool found = matcher->lookingAt(code) != 0;
  return U_SUCCESS(code) != 0 && found;
}

}  // namespace

Result<std::function<bool(const std::string&)>> regex_name_matcher(const std::string& expression) {
  UErrorCode code = U_ZERO_ERROR;
  UParseError where{};
  const std::shared_ptr<const icu::RegexPattern> pattern(icu::RegexPattern::compile(
      icu::UnicodeString::fromUTF8(icu_expression(expression)), 0, where, code));
  if (U_FAILURE(code) != 0) {
    return invalid_argument("pattern " + printable("re:" + expression) +
                            " is no regular expression (" + u_errorName(code) + " at character " +
                            std::to_string(where.offset) +
                            "): correct it, or give a glob such as "
                            "'*.down_proj'")
        .with_reason("BAD_PATTERN")
        .with_detail("pattern", "re:" + expression);
  }
  return std::function<bool(const std::string&)>(
      [pattern](const std::string& name) { return matches_at_start(*pattern, name); });
}

}  // namespace rotor
