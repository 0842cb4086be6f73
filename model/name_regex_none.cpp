#include "model/name_pattern.h"

namespace rotor {

Result<NameMatcher> regex_name_matcher(const std::string& expression) {
  return unimplemented("pattern re:" + expression +
                       ": this build has no regular expressions; build with ICU, or give a glob")
      .with_reason("BAD_PATTERN")
      .with_detail("pattern", "re:" + expression);
}

}  // namespace rotor
