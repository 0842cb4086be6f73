// The fixture of tests that run kernels, and how they compare results with the CPU's.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "kernels/cuda_status.h"
#include "kernels/stream.h"
#include "quant/base/dtype.h"
#include "quant/format/bf16.h"
#include "tests/support/kernels/device_buffer.h"
#include "tests/support/status_matchers.h"

namespace rotor::kernels {

/// Inputs are fresh in every run. A failure tells its seed, and ROTOR_TEST_SEED=N uses it again.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      (void)cudaGetLastError();
      GTEST_SKIP() << "no CUDA device on this machine: not run";
    }
    Result<Stream> stream = Stream::create();
    ASSERT_OK(stream);
    stream_.emplace(std::move(stream).value());
    const char* seed = std::getenv("ROTOR_TEST_SEED");
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : std::random_device{}();
    generator_.seed(seed_);
  }

  cudaStream_t stream() const { return stream_->get(); }
  void synchronize() { ASSERT_OK(stream_->synchronize()); }
  std::mt19937_64& generator() { return generator_; }

  std::vector<float> random_values(int64_t count, float deviation = 1.0F) {
    std::normal_distribution<float> normal(0.0F, deviation);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) {
      value = normal(generator_);
    }
    return values;
  }

  template <typename T>
  DeviceBuffer upload(const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    Result<DeviceBuffer> buffer = DeviceBuffer::allocate(bytes);
    EXPECT_OK(buffer);
    EXPECT_OK(buffer->copy_from_host(values.data(), bytes, stream()));
    synchronize();
    return std::move(buffer).value();
  }

  /// What a kernel can be given as `values` in `dtype`: rounds them in place to what that holds.
  DeviceBuffer upload_as(DType dtype, std::vector<float>& values) {
    if (dtype == DType::kF32) {
      return upload(values);
    }
    std::vector<uint16_t> halves;
    for (float& value : values) {
      const bool f16 = dtype == DType::kF16;
      halves.push_back(f16 ? f32_to_f16(value) : f32_to_bf16(value));
      value = f16 ? f16_to_f32(halves.back()) : bf16_to_f32(halves.back());
    }
    return upload(halves);
  }

  /// Room for `count` values and a guard behind them, every byte 0xFF: a NaN in both dtypes.
  DeviceBuffer poisoned(DType dtype, int64_t count) {
    Result<DeviceBuffer> buffer = DeviceBuffer::allocate(count * dtype_size(dtype) + kGuardBytes);
    EXPECT_OK(buffer);
    EXPECT_OK(buffer->fill(0xFF, stream()));
    return std::move(buffer).value();
  }

  /// `values` in `dtype`, as upload_as makes them, for a kernel that writes over its input: with
  /// the guard of poisoned() behind them.
  DeviceBuffer upload_guarded(DType dtype, std::vector<float>& values) {
    const DeviceBuffer source = upload_as(dtype, values);
    DeviceBuffer copy = poisoned(dtype, static_cast<int64_t>(values.size()));
    EXPECT_OK(
        ROTOR_CUDA(cudaMemcpyAsync(copy.data(), source.data(), static_cast<size_t>(source.bytes()),
                                   cudaMemcpyDeviceToDevice, stream())));
    synchronize();
    return copy;
  }

  /// The `count` values of a buffer from poisoned(); its guard must be untouched.
  std::vector<float> download(DType dtype, int64_t count, const DeviceBuffer& buffer) {
    std::vector<uint8_t> bytes(static_cast<size_t>(buffer.bytes()));
    EXPECT_OK(buffer.copy_to_host(bytes.data(), buffer.bytes(), stream()));
    synchronize();
    std::vector<float> values(static_cast<size_t>(count));
    EXPECT_OK(widen_to_f32(bytes.data(), dtype, count, values.data()));
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(count * dtype_size(dtype));
    EXPECT_TRUE(std::all_of(end, bytes.end(), [](uint8_t byte) { return byte == 0xFF; }))
        << "written past the end";
    return values;
  }

  /// Every value of the buffer from poisoned() is that of `expected` [rows, cols], rounded to
  /// `dtype`, bit for bit (any NaN for a NaN), and the guard is untouched.
  void expect_values(const std::vector<float>& expected, int64_t cols, DType dtype,
                     const DeviceBuffer& buffer) {
    const auto count = static_cast<int64_t>(expected.size());
    const std::vector<float> actual = download(dtype, count, buffer);
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      const float wanted =
          dtype == DType::kF32 ? expected[at] : bf16_to_f32(f32_to_bf16(expected[at]));
      const bool same = std::isnan(wanted) ? std::isnan(actual[at])
                                           : std::bit_cast<uint32_t>(wanted) ==
                                                 std::bit_cast<uint32_t>(actual[at]);
      ASSERT_TRUE(same) << "first difference at row " << i / cols << ", column " << i % cols
                        << ": wanted " << wanted << ", got " << actual[at] << "; seed " << seed_;
    }
  }

  /// The same within bounds: |actual - wanted| <= bound, one of each for every value.
  void expect_near(const std::vector<double>& wanted, const std::vector<double>& bounds,
                   int64_t cols, DType dtype, const DeviceBuffer& buffer) {
    const auto count = static_cast<int64_t>(wanted.size());
    const std::vector<float> actual = download(dtype, count, buffer);
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      ASSERT_LE(std::abs(static_cast<double>(actual[at]) - wanted[at]), bounds[at])
          << "first beyond its bound at row " << i / cols << ", column " << i % cols << ": wanted "
          << wanted[at] << ", got " << actual[at] << "; seed " << seed_;
    }
  }

 private:
  static constexpr int64_t kGuardBytes = 64;
  std::optional<Stream> stream_;
  uint64_t seed_ = 0;
  std::mt19937_64 generator_;
};

}  // namespace rotor::kernels
