// Whether rows that were computed among different numbers of others are the same.
#pragma once

#include <cblas.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace rotor::testing {

/// OpenBLAS's kernels for AVX2 sum a row's products in one of two orders, by the row's place among
/// those of the call, whatever is padded: with them rows are the same to rounding, `depth` products
/// deep. With its kernels for AVX-512 and the generic ones they are the same to the bit.
inline ::testing::AssertionResult same_rows(const std::vector<float>& actual,
                                            const std::vector<float>& expected, int64_t depth) {
  const std::string core = openblas_get_corename();
  if (core != "Haswell" && core != "Zen") {
    return actual == expected
               ? ::testing::AssertionSuccess()
               : ::testing::AssertionFailure() << "other bits, with kernels " << core;
  }
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " values, not " << expected.size();
  }
  float largest = 0.0F;
  for (const float value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  const float bound = largest * std::sqrt(static_cast<float>(depth)) * 0x1p-22F;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (!(std::abs(actual[i] - expected[i]) <= bound)) {
      return ::testing::AssertionFailure()
             << "value " << i << " is " << actual[i] << ", not " << expected[i];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace rotor::testing
