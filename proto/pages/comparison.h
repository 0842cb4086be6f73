// Two checkpoints side by side: what was asked for otherwise, and which modules came out better or
// worse.
//
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "proto/pages/report_facts.h"

namespace rotor {

struct ChangedSetting {
  std::string name;
  std::string a;  // "-" where that side does not have it
  std::string b;
};

struct ChangedModule {
  std::string name;
  double a = 0.0;  // relative errors
  double b = 0.0;
};

struct Comparison {
  ReportFacts a;
  ReportFacts b;
  std::vector<ChangedSetting> settings;
  std::vector<ChangedModule> modules;  // that both have, in a's order
  std::vector<std::string> only_a;     // modules that are not quantized in b
  std::vector<std::string> only_b;
};

Comparison compare(ReportFacts a, ReportFacts b);

/// The figures of both sides: what it is, a's, b's; "-" for what is not known.
std::vector<std::array<std::string, 3>> side_by_side(const Comparison& comparison);

/// Modules whose errors differ most, as a factor, in either direction; at most `count`.
std::vector<ChangedModule> most_changed(const Comparison& comparison, size_t count);

/// "a" and "b" (name, modules, mean_relative_error, mean_rtn_relative_error, fallbacks,
/// output_bytes, perplexity, serving_modes), "settings", "modules", "only_a", "only_b".
nlohmann::ordered_json comparison_json(const Comparison& comparison);

/// One page.
std::string comparison_page(const Comparison& comparison);

}  // namespace rotor
