// Figures of benchmarks as they are printed.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>

namespace rotor::worker::bench {

/// Four significant digits: what a clock and a shared machine can tell.
inline double rounded(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return std::strtod(text.data(), nullptr);
}

}  // namespace rotor::worker::bench
