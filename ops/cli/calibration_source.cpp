#include "ops/cli/calibration_source.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>
#include <string_view>

#include "ops/cli/paths.h"

namespace rotor::cli {
namespace {

constexpr size_t kLookedAt = size_t{1} << 20;  // bytes of a file

/// The beginning of a file; empty where it cannot be read.
std::string beginning(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kLookedAt, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

}  // namespace

CalibrationSource parse_calibration_source(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || is_there(text)) {
    return {text, std::nullopt};
  }
  double weight = 0.0;
  const char* end = text.data() + text.size();
  const auto [rest, bad] = std::from_chars(text.data() + colon + 1, end, weight);
  if (bad != std::errc() || rest != end || !(weight > 0.0) || !std::isfinite(weight)) {
    return {text, std::nullopt};
  }
  return {text.substr(0, colon), weight};
}

Status check_weights(const std::vector<CalibrationSource>& sources) {
  const auto without = std::find_if(sources.begin(), sources.end(),
                                    [](const CalibrationSource& s) { return !s.weight; });
  const bool some = std::any_of(sources.begin(), sources.end(),
                                [](const CalibrationSource& s) { return s.weight.has_value(); });
  if (some && without != sources.end()) {
    return invalid_argument("--calibration " + without->file +
                            " has no weight, and another file has one: give each a weight above 0, "
                            "as in FILE:0.5, or none")
        .with_reason("BAD_CALIBRATION_OPTIONS")
        .with_detail("file", without->file);
  }
  return {};
}

bool needs_rendering(const std::string& file) {
  const auto ends = [&](std::string_view ending) { return file.ends_with(ending); };
  if (ends(".parquet") || ends(".arrow") || is_directory(file)) {
    return true;
  }
  if (!ends(".json") && !ends(".jsonl")) {
    return false;
  }
  // Within a string of JSON these would stand with backslashes.
  constexpr std::array<std::string_view, 3> kKeys = {"\"messages\"", "\"conversations\"",
                                                     "\"completion\""};
  const std::string text = beginning(file);
  return std::any_of(kKeys.begin(), kKeys.end(),
                     [&](std::string_view key) { return text.find(key) != std::string::npos; });
}

bool need_preparation(const std::vector<CalibrationSource>& sources) {
  return std::any_of(sources.begin(), sources.end(), [](const CalibrationSource& source) {
    return source.weight.has_value() || needs_rendering(source.file);
  });
}

std::vector<int64_t> share_out(int64_t windows, const std::vector<CalibrationSource>& sources) {
  double sum = 0.0;
  for (const CalibrationSource& source : sources) {
    sum += *source.weight;
  }
  std::vector<int64_t> shares;
  std::vector<double> remainders;
  for (const CalibrationSource& source : sources) {
    const double exact = static_cast<double>(windows) * *source.weight / sum;
    shares.push_back(static_cast<int64_t>(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<size_t> order(sources.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  int64_t left = windows - std::accumulate(shares.begin(), shares.end(), int64_t{0});
  for (size_t i = 0; left > 0; i = (i + 1) % order.size(), --left) {
    ++shares[order[i]];
  }
  return shares;
}

}  // namespace rotor::cli
