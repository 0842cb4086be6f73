// What a mistyped command or option was probably meant to be.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace rotor::cli {

/// The candidate that the fewest insertions, deletions, changes and swaps of neighbours make of
/// `word`; empty where that takes more than a third of its letters. Of several, the first.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// The name that was meant where `app`, which failed to parse, met a command or an option that does
/// not exist; else empty.
std::string did_you_mean(const CLI::App& app);

}  // namespace rotor::cli
