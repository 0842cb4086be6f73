#include "kernels/packed_gemv.h"

#include "tests/unit/kernels/packed_weights.h"

namespace rotor::kernels {
namespace {

class PackedGemv : public PackedTest {
 protected:
  void check(const QuantScheme& scheme, int64_t rows, int64_t cols,
             const std::vector<int64_t>& counts, int splits = 0) {
    const QuantizedMatrix matrix = random_matrix(scheme, rows, cols, generator());
    const OnDevice device = packed(matrix);
    const std::vector<float> weights = weights_of(matrix);
    const DeviceBuffer workspace =
        upload(std::vector<uint8_t>(static_cast<size_t>(packed_gemv_workspace(rows))));
    for (const int64_t m : counts) {
      SCOPED_TRACE(::testing::Message()
                   << to_string(scheme.format) << " groups of " << scheme.group_size << ", global "
                   << static_cast<int>(scheme.global) << ", " << m << " x " << cols << " to "
                   << rows << ", " << splits << " splits");
      std::vector<float> x = random_values(m * cols);
      const DeviceBuffer source = upload_as(DType::kBf16, x);
      const Reference reference = reference_product(x, m, weights, cols);
      for (int twice = 0; twice < 2; ++twice) {  // the workspace serves again
        const DeviceBuffer out = poisoned(DType::kBf16, m * rows);
        ASSERT_OK(packed_gemv(source.data(), m, device.weight, out.data(), workspace.data(),
                              stream(), splits));
        expect_product(reference, rows, out);
      }
    }
  }
};

TEST_F(PackedGemv, IsTheProductForEveryFormatAndCount) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    check(scheme, 72, 1280, {1, 3, 8, 9, 16, 17, 33, 64});
  }
}

TEST_F(PackedGemv, IsTheProductForAwkwardShapes) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    check(scheme, 1, scheme.group_size, {1, 3});
    check(scheme, 37, 11 * scheme.group_size, {1, 5});
  }
  check(kPackedSchemes[0], 50, 2880, {1, 3, 16});
  check(kPackedSchemes[2], 50, 2880, {1, 3, 16});
  check(kPackedSchemes[0], 17, 28672, {1, 8});
}

TEST_F(PackedGemv, IsTheProductHoweverTheWorkIsCut) {
  for (const QuantScheme& scheme : kPackedSchemes) {
    for (const int splits : {1, 2, 5, 8}) {
      check(scheme, 40, 1280, {1, 7, 12, 40}, splits);
    }
  }
}

TEST(PackedGemvArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) uint8_t memory[64] = {};
  const QuantScheme nvfp4 = kPackedSchemes[0];
  const PackedWeight weight{nvfp4, 32, 64, 1.0F, memory};
  EXPECT_FAILS(packed_gemv(memory, 65, weight, memory, memory, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "at most 64");
  EXPECT_FAILS(packed_gemv(memory, 1, weight, memory, memory, nullptr, 9), Code::kInvalidArgument,
               "BAD_SHAPE", "9 splits");
  EXPECT_FAILS(packed_gemv(nullptr, 1, weight, memory, memory, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "x is null");
  EXPECT_FAILS(packed_gemv(memory, 1, weight, memory, memory + 4, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "workspace");
  EXPECT_OK(packed_gemv(memory, 0, weight, memory, memory, nullptr));
  EXPECT_FAILS(packed_weight_bytes(nvfp4, 4, 24).status(), Code::kInvalidArgument, "BAD_SHAPE",
               "24 columns");
  EXPECT_FAILS(pack_weight(nvfp4, 4, 16, memory, memory, 0.0F, memory, nullptr).status(),
               Code::kInvalidArgument, "BAD_SCALE", "global_scale");
}

}  // namespace
}  // namespace rotor::kernels
