#include "kernels/round.h"

#include <gtest/gtest.h>

#include "quant/gptq/solve.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class RoundTest : public CudaTest {};

TEST_F(RoundTest, GivesTheCodesOfTheCpu) {
  const std::unique_ptr<Parallel> pool = make_thread_pool(2);
  const QuantScheme schemes[] = {{Format::kNvfp4, 16, DType::kF8E4M3},
                                 {Format::kMxfp4, 32, DType::kU8},
                                 {Format::kInt4, 128, DType::kBf16}};
  for (const QuantScheme& scheme : schemes) {
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 128}, {37, 384}, {3, 28672}}) {
      const std::vector<float> w = random_values(rows * cols);
      std::vector<float> effective = random_values(rows * (cols / scheme.group_size));
      for (float& scale : effective) {
        scale = std::abs(scale) * 0.3F + 0.01F;
      }
      std::vector<uint8_t> expected(static_cast<size_t>(rows * cols / 2));
      ASSERT_OK(rotor::round_rows(w.data(), rows, cols, scheme, effective.data(), expected.data(),
                                  *pool));
      const DeviceBuffer codes = poisoned(DType::kU8, rows * cols / 2);
      ASSERT_OK(kernels::round_rows(scheme.format, scheme.group_size, upload(w).as<float>(),
                                    upload(effective).as<float>(), rows, cols, codes.as<uint8_t>(),
                                    stream()));
      std::vector<uint8_t> actual(expected.size());
      ASSERT_OK(codes.copy_to_host(actual.data(), static_cast<int64_t>(actual.size()), stream()));
      synchronize();
      EXPECT_EQ(actual, expected) << to_string(scheme.format) << " [" << rows << ", " << cols
                                  << "]";
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
