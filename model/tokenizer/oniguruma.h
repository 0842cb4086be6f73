// From the regular expressions that tokenizer.json files hold, which are written for Oniguruma, to
// the dialect of ICU. Most of what these files use means the same in both; what does not is
// rewritten, and what cannot be is refused.
//
// Rewritten: \s \d \w and their negations become explicit sets (the two disagree on \w, and ICU
// keeps one stack frame for each character that a bare \s* passes, none for [\s]*); \v is U+000B.
// Refused by name: backreferences, named groups, flags other than i, \b \B \G \K \R \X \h \H \Z,
// an interval followed by + or ?, and -- within a set: they mean something else or nothing in ICU.
#pragma once

#include <string>

#include "quant/base/status.h"

namespace rotor {

/// The ICU pattern, for the flags UREGEX_MULTILINE | UREGEX_UNIX_LINES (Oniguruma's ^ and $ match
/// at every line, and \n alone ends one). Error: UNIMPLEMENTED, reason UNSUPPORTED_TOKENIZER, with
/// the construct and the whole pattern.
Result<std::string> icu_pattern_from_oniguruma(const std::string& pattern);

}  // namespace rotor
