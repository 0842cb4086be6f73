// What `rotor analyze` found, as people read it: the same tables on a terminal and on a page. They
// are made of the object that the command prints as JSON (docs/api.md has its keys).
//
// Thread-safety: pure functions. `analysis` must have those keys.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace rotor {

/// The title of the first table.
inline constexpr char kRecommended[] = "Recommended";

struct AnalysisTable {
  std::string title;
  std::string note;  // below the title; empty: none
  std::vector<std::string> columns;
  std::vector<bool> numbers;  // by column
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> lines;  // below the table
};

/// In the order in which they are shown: what is recommended and what its job would take, how
/// weights and inputs are spread and what formats make of them, the same by kind of stage, what
/// each stage speaks for by itself, and the `worst` modules with the largest errors as recommended.
std::vector<AnalysisTable> analysis_tables(const nlohmann::ordered_json& analysis, size_t worst);

/// "demo: 4 layers, 28 modules, on 16 windows of 2048 tokens, cpu"
std::string analysis_title(const nlohmann::ordered_json& analysis);

/// One page.
std::string analysis_page(const nlohmann::ordered_json& analysis);

}  // namespace rotor
