// A chart of lines as SVG in the page's own text: no script, and readable printed.
//
// Thread-safety: a pure function.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace rotor {

struct ChartLine {
  std::string name;
  std::string colour;                         // of CSS
  std::vector<std::optional<double>> values;  // one a place; none: the line has a gap
};

/// Shares as percent over `places`, from 0 to the largest value. Empty where no line has a value.
std::string line_chart(const std::string& title, const std::vector<std::string>& places,
                       const std::vector<ChartLine>& lines);

}  // namespace rotor
