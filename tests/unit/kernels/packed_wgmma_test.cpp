#include "kernels/packed_wgmma.h"

#include "tests/unit/kernels/packed_weights.h"

namespace rotor::kernels {
namespace {

class PackedWgmma : public PackedTest {
 protected:
  void SetUp() override {
    PackedTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    const Result<bool> can = has_packed_wgmma();
    ASSERT_OK(can);
    if (!*can) {
      GTEST_SKIP() << "this GPU is not of compute capability 9.0: not run";
    }
  }

  void check(const QuantScheme& scheme, int64_t rows, int64_t cols,
             const std::vector<int64_t>& counts) {
    const QuantizedMatrix matrix = random_matrix(scheme, rows, cols, generator());
    const OnDevice device = packed(matrix);
    const std::vector<float> weights = weights_of(matrix);
    for (const int64_t m : counts) {
      std::vector<float> x = random_values(m * cols);
      const DeviceBuffer source = upload_as(DType::kBf16, x);
      const Reference reference = reference_product(x, m, weights, cols);
      for (const int tokens : {64, 128, 256}) {
        SCOPED_TRACE(::testing::Message()
                     << to_string(scheme.format) << " groups of " << scheme.group_size
                     << ", global " << static_cast<int>(scheme.global) << ", " << m << " x " << cols
                     << " to " << rows << ", " << tokens << " tokens a tile");
        const DeviceBuffer out = poisoned(DType::kBf16, m * rows);
        ASSERT_OK(packed_wgmma(source.data(), m, device.weight, out.data(), stream(), tokens));
        // Only INT4's products of code and scale do not fit BF16.
        expect_product(reference, rows, out, scheme.format == Format::kInt4 ? 0x1p-9 : 0.0);
      }
    }
  }
};

TEST_F(PackedWgmma, IsTheProductForEveryFormatAndCount) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    check(scheme, 136, 1280, {1, 65, 130});
  }
}

TEST_F(PackedWgmma, IsTheProductForAwkwardShapes) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    check(scheme, 1, scheme.group_size, {1, 3});
    check(scheme, 37, 11 * scheme.group_size, {5, 257});
  }
  check(kPackedSchemes[0], 150, 2880, {3, 300});
  check(kPackedSchemes[2], 17, 28672, {130});
}

TEST_F(PackedWgmma, DecodesWhatWasPacked) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    const QuantizedMatrix matrix = random_matrix(scheme, 37, 11 * scheme.group_size, generator());
    const OnDevice device = packed(matrix);
    const DeviceBuffer out = poisoned(DType::kBf16, matrix.rows * matrix.cols);
    ASSERT_OK(unpack_weight(device.weight, out.data(), stream()));
    expect_values(weights_of(matrix), matrix.cols, DType::kBf16, out);
  }
}

}  // namespace
}  // namespace rotor::kernels
