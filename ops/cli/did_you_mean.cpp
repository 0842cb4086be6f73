#include "ops/cli/did_you_mean.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>

namespace rotor::cli {
namespace {

/// Optimal string alignment distance (Damerau-Levenshtein without edits between swapped letters).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::vector<std::string> long_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t least = word.size() / 3 + 1;
  for (const std::string& candidate : candidates) {
    if (const size_t d = distance(word, candidate); d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(const CLI::App& app) {
  const std::vector<std::string> unknown = app.remaining(true);
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const auto option = std::find_if(unknown.begin(), unknown.end(),
                                   [](const std::string& word) { return word.starts_with("--"); });
  if (option != unknown.end() && (!chosen.empty() || option == unknown.begin())) {
    std::vector<std::string> names = long_options(app);
    for (const CLI::App* command : chosen) {
      const std::vector<std::string> more = long_options(*command);
      names.insert(names.end(), more.begin(), more.end());
    }
    const std::string name = option->substr(0, option->find('='));
    std::erase(names, name);  // the command's, and written before it
    return nearest(name, names);
  }
  if (unknown.empty() || !chosen.empty()) {
    return "";
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(command->get_name());
  }
  return nearest(unknown.front(), commands);
}

}  // namespace rotor::cli
