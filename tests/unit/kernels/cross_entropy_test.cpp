#include "kernels/cross_entropy.h"

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class CrossEntropy : public CudaTest {
 protected:
  /// Against F64. The largest term of the sum is 1, so an exponential off by 2^-21 of itself and a
  /// sum of positive terms in chains below 2^9 move its logarithm by less than 2^-14; the
  /// difference to the target's logit rounds by 2^-24 of itself.
  void check(std::vector<float> logits, int64_t vocabulary, const std::vector<int32_t>& targets,
             DType dtype) {
    SCOPED_TRACE(::testing::Message()
                 << targets.size() << " x " << vocabulary << ", " << dtype_name(dtype));
    const auto rows = static_cast<int64_t>(targets.size());
    const DeviceBuffer source = upload_as(dtype, logits);
    const DeviceBuffer ids = upload(targets);
    const DeviceBuffer losses = poisoned(DType::kF32, rows);
    ASSERT_OK(cross_entropy(source.data(), dtype, rows, vocabulary, ids.as<int32_t>(),
                            losses.as<float>(), stream()));
    std::vector<double> wanted(targets.size(), 0.0);
    std::vector<double> bounds(targets.size(), 0.0);
    for (size_t r = 0; r < targets.size(); ++r) {
      if (targets[r] < 0) {
        continue;
      }
      const float* row = logits.data() + r * static_cast<size_t>(vocabulary);
      const double most = static_cast<double>(*std::max_element(row, row + vocabulary));
      double sum = 0.0;
      for (int64_t c = 0; c < vocabulary; ++c) {
        sum += std::exp(static_cast<double>(row[c]) - most);
      }
      wanted[r] = most + std::log(sum) - static_cast<double>(row[targets[r]]);
      bounds[r] = 0x1p-14 + 0x1p-22 * std::abs(wanted[r]);
    }
    expect_near(wanted, bounds, 1, DType::kF32, losses);
  }
};

TEST_F(CrossEntropy, IsTrueForVocabulariesOfAnySize) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int32_t vocabulary : {1, 2, 7, 8, 100, 255, 2047, 2048, 2049, 32001, 128256}) {
      const std::vector<int32_t> targets{0, vocabulary - 1, -1, vocabulary / 2, vocabulary / 3};
      check(random_values(5 * vocabulary, 5.0F), vocabulary, targets, dtype);
    }
  }
}

TEST_F(CrossEntropy, NeitherOverflowsNorLosesTheTarget) {
  std::vector<float> logits = random_values(3 * 1001);
  for (size_t i = 0; i < 1001; ++i) {
    logits[i] *= 1e30F;
    logits[1001 + i] += 1e5F;
    logits[2002 + i] = i == 500 ? 80.0F : -80.0F;
  }
  check(logits, 1001, {3, 4, 500}, DType::kF32);
  check(std::vector<float>(2 * 513, 0.0F), 513, {0, 512}, DType::kBf16);
}

TEST_F(CrossEntropy, TakesMaskedLogits) {
  std::vector<float> logits = random_values(2 * 300);
  std::fill(logits.begin(), logits.begin() + 290, -std::numeric_limits<float>::infinity());
  check(logits, 300, {295, 7}, DType::kF32);
}

TEST_F(CrossEntropy, ABadRowIsNanAndSpoilsNoOther) {
  std::vector<float> logits(4 * 64, 0.0F);
  logits[3] = std::nanf("");
  logits[64 + 3] = std::numeric_limits<float>::infinity();
  const DeviceBuffer source = upload(logits);
  const DeviceBuffer ids = upload(std::vector<int32_t>{0, 0, 64, 5});
  const DeviceBuffer losses = poisoned(DType::kF32, 4);
  ASSERT_OK(cross_entropy(source.data(), DType::kF32, 4, 64, ids.as<int32_t>(), losses.as<float>(),
                          stream()));
  const std::vector<float> found = download(DType::kF32, 4, losses);
  EXPECT_TRUE(std::isnan(found[0]));
  EXPECT_TRUE(std::isnan(found[1]));
  EXPECT_TRUE(std::isnan(found[2]));
  EXPECT_NEAR(found[3], std::log(64.0), 1e-5);
}

TEST(CrossEntropyArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  alignas(16) int32_t ids[4] = {};
  EXPECT_FAILS(cross_entropy(x, DType::kF16, 1, 8, ids, x, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "logits of F16");
  EXPECT_FAILS(cross_entropy(x + 1, DType::kF32, 1, 8, ids, x, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "logits is not aligned");
  EXPECT_FAILS(cross_entropy(x, DType::kF32, 1, 8, nullptr, x, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "targets is null");
  EXPECT_FAILS(cross_entropy(x, DType::kF32, 1, -8, ids, x, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "[1, -8]");
  EXPECT_OK(cross_entropy(nullptr, DType::kF32, 0, 8, nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
