// What the tests of backend operations share: random operands in every dtype, poisoned outputs, and
// the rule that any number of threads makes the same bits.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "quant/format/bf16.h"
#include "worker/backend/backend.h"

namespace rotor::worker::testing {

inline std::vector<float> random_values(int64_t count, unsigned seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = normal(generator);
  }
  return values;
}

/// A tensor of `dtype` that holds `values`, which are rounded to it first.
inline Tensor make_tensor(Backend& backend, DType dtype, int64_t rows, int64_t cols,
                          std::vector<float>& values) {
  Tensor tensor = backend.allocate(dtype, rows, cols).value();
  EXPECT_EQ(static_cast<int64_t>(values.size()), rows * cols);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kBf16) {
      tensor.as<uint16_t>()[i] = f32_to_bf16(values[i]);
      values[i] = bf16_to_f32(tensor.as<uint16_t>()[i]);
    } else if (dtype == DType::kF16) {
      tensor.as<uint16_t>()[i] = f32_to_f16(values[i]);
      values[i] = f16_to_f32(tensor.as<uint16_t>()[i]);
    } else {
      tensor.as<float>()[i] = values[i];
    }
  }
  return tensor;
}

inline Tensor f32_tensor(Backend& backend, int64_t rows, int64_t cols, std::vector<float> values) {
  return make_tensor(backend, DType::kF32, rows, cols, values);
}

/// F32 full of NaN, so that an element that is read or left out shows.
inline Tensor poisoned(Backend& backend, int64_t rows, int64_t cols) {
  Tensor tensor = backend.allocate(DType::kF32, rows, cols).value();
  std::fill_n(tensor.as<float>(), tensor.size(), std::numeric_limits<float>::quiet_NaN());
  return tensor;
}

inline std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

/// Every |actual - expected| <= tolerance; names the first that is not.
inline void expect_close(const std::vector<float>& actual, const std::vector<double>& expected,
                         double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    // Not EXPECT_NEAR on each: a NaN must fail, and one message is enough.
    ASSERT_TRUE(std::abs(static_cast<double>(actual[i]) - expected[i]) <= tolerance)
        << "element " << i << " is " << actual[i] << ", expected " << expected[i];
  }
}

/// Runs `operation` with 1, 2 and 3 threads, expects the same bits, and returns them.
inline std::vector<float> same_for_any_threads(
    const std::function<std::vector<float>(Backend&)>& operation) {
  const auto one = make_cpu_backend(1);
  std::vector<float> expected = operation(*one);
  for (const int threads : {2, 3}) {
    const auto backend = make_cpu_backend(threads);
    EXPECT_EQ(operation(*backend), expected) << threads << " threads";
  }
  return expected;
}

}  // namespace rotor::worker::testing
