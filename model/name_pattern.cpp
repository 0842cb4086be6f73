#include "model/name_pattern.h"

#include <string_view>
#include <utility>

#include "model/plan.h"

namespace rotor {

Result<NamePattern> NamePattern::parse(const std::string& text) {
  constexpr std::string_view kRegex = "re:";
  if (!text.starts_with(kRegex)) {
    return NamePattern(text, [text](const std::string& name) { return glob_match(text, name); });
  }
  ROTOR_ASSIGN_OR_RETURN(NameMatcher matcher, regex_name_matcher(text.substr(kRegex.size())));
  return NamePattern(text, std::move(matcher));
}

Result<std::vector<NamePattern>> parse_name_patterns(const std::vector<std::string>& texts) {
  std::vector<NamePattern> patterns;
  for (const std::string& text : texts) {
    ROTOR_ASSIGN_OR_RETURN(NamePattern pattern, NamePattern::parse(text));
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

}  // namespace rotor
