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

TEST(CpuBackendTest, ADownloadOutlivesItsTensor) {
  const auto backend = make_cpu_backend(1);
  const std::vector<int32_t> values = {3, 1, 4, 1, 5, 9};
  std::unique_ptr<Download> download;
  {
    const Tensor tensor = backend->allocate(DType::kI32, 2, 3).value();
    ASSERT_OK(backend->upload(values.data(), tensor.bytes(), tensor));
    download = backend->begin_download(tensor).value();
  }
  std::vector<int32_t> taken(values.size());
  EXPECT_EQ(download->take(taken.data(), 4).code(), Code::kInternal);
  ASSERT_OK(download->take(taken.data(), taken.size() * sizeof(int32_t)));
  EXPECT_EQ(taken, values);
}

TEST(CpuBackendTest, ALimitCountsWhatLives) {
  EXPECT_EQ(make_cpu_backend(1)->memory_left(), 0);
  const auto backend = make_cpu_backend(1, 1000);
  EXPECT_EQ(backend->memory_left(), 1000);
  {
    const auto most = backend->allocate(DType::kU8, 1, 900);
    ASSERT_OK(most);
    EXPECT_EQ(backend->memory_left(), 100);
    const auto more = backend->allocate(DType::kU8, 1, 101);
    EXPECT_EQ(more.status().code(), Code::kResourceExhausted);
    EXPECT_EQ(more.status().details().at("needed"), "101");
    EXPECT_EQ(more.status().details().at("free"), "100");
    EXPECT_OK(backend->allocate_host(4096));  // not the device's
  }
  EXPECT_EQ(backend->memory_left(), 1000);
}

TEST(CpuBackendTest, EmptyTensorsAreNoTrouble) {
  const auto backend = make_cpu_backend(2);
  const auto empty = backend->allocate(DType::kF32, 0, 7);
  ASSERT_OK(empty);
  EXPECT_OK(backend->upload(nullptr, 0, *empty));
  EXPECT_OK(backend->add(*empty, *empty, 1.0F));
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
