#include "worker/backend/cpu/cpu_backend.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

TEST(CpuBackendTest, SaysWhatItIs) {
  const auto backend = make_cpu_backend(0);
  EXPECT_EQ(backend->info().name, "cpu");
  EXPECT_GT(backend->info().memory_bytes, 0);
  EXPECT_EQ(backend->activation_dtype(), DType::kF32);
  EXPECT_GT(backend->row_tile(), 0);
}

TEST(CpuBackendTest, TensorsAreAlignedAndCopied) {
  const auto backend = make_cpu_backend(1);
  const Tensor a = backend->allocate(DType::kI32, 3, 5).value();
  const Tensor b = backend->allocate(DType::kI32, 3, 5).value();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0U);
  std::vector<int32_t> values(15);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int32_t>(i * i);
  }
  ASSERT_OK(backend->upload(values.data(), a.bytes(), a));
  ASSERT_OK(backend->copy(a, b));
  std::vector<int32_t> back(5);
  ASSERT_OK(backend->download(b.row_range(1, 1), back.data(), 20));
  EXPECT_EQ(back, (std::vector<int32_t>{25, 36, 49, 64, 81}));
  EXPECT_EQ(backend->upload(values.data(), 4, a).code(), Code::kInternal);
  EXPECT_EQ(backend->download(a, values.data(), 4).code(), Code::kInternal);
  EXPECT_EQ(backend->copy(a, b.row_range(0, 2)).code(), Code::kInternal);
}

TEST(CpuBackendTest, EmptyTensorsAreNoTrouble) {
  const auto backend = make_cpu_backend(2);
  const auto empty = backend->allocate(DType::kF32, 0, 7);
  ASSERT_OK(empty);
  EXPECT_OK(backend->upload(nullptr, 0, *empty));
  EXPECT_OK(backend->add(*empty, *empty));
  EXPECT_OK(backend->linear(*empty, testing::poisoned(*backend, 3, 7), Tensor(),
                            testing::poisoned(*backend, 0, 3)));
}

TEST(CpuBackendTest, MemoryThatThereIsNotIsAnErrorWithNumbers) {
  const auto backend = make_cpu_backend(1);
  const auto tensor = backend->allocate(DType::kF32, int64_t{1} << 30, int64_t{1} << 28);
  ASSERT_FALSE(tensor.ok());
  EXPECT_EQ(tensor.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(tensor.status().details().at("needed"), std::to_string(int64_t{1} << 60));
  EXPECT_EQ(tensor.status().details().count("free"), 1U);
}

}  // namespace
}  // namespace rotor::worker
