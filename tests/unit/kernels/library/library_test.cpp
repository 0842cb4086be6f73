// The library through its C header alone.
#include <cstring>

#include "kernels/library/rotor_kernels.h"
#include "kernels/packed_gemm.h"
#include "kernels/rotate_quantize.h"
#include "tests/unit/kernels/library/from_c.h"
#include "tests/unit/kernels/packed_weights.h"

namespace rotor::kernels {
namespace {

class Library : public PackedTest {
 protected:
  struct Destroy {
    void operator()(rotor_kernels* handle) const { rotor_kernels_destroy(handle); }
  };

  std::vector<uint8_t> bytes_of(const DeviceBuffer& buffer) {
    std::vector<uint8_t> bytes(static_cast<size_t>(buffer.bytes()));
    EXPECT_OK(buffer.copy_to_host(bytes.data(), buffer.bytes(), stream()));
    synchronize();
    return bytes;
  }
};

TEST(LibraryHeader, IsPlainCAndTellsErrors) {
  EXPECT_EQ(wrong_from_c(), nullptr);
}

TEST_F(Library, QuantizesAsTheKernelsDo) {
  std::vector<float> x = random_values(130 * 256, 2.0F);
  const DeviceBuffer source = upload_as(DType::kBf16, x);
  const DeviceBuffer amax = upload(std::vector<float>{0.0F});
  ASSERT_EQ(rotor_rotated_max_abs(source.data(), 130, 256, 128, amax.as<float>(), stream()),
            ROTOR_OK)
      << rotor_last_error();
  const rotor_quantize_args args{130,
                                 256,
                                 128,
                                 ROTOR_NVFP4,
                                 ROTOR_GLOBAL_DIVISOR,
                                 ROTOR_ABSMAX,
                                 ROTOR_SCALES_IN_TILES,
                                 1.0F,
                                 amax.as<float>()};
  const int64_t scale_count = rotor_scale_bytes(ROTOR_SCALES_IN_TILES, 130, 16);
  ASSERT_EQ(scale_count, 2 * 4 * 512);
  RotateQuantize what{130, 256, 128, *make_scheme(Format::kNvfp4, 0, DType::kBf16)};
  what.order = ScaleOrder::kTiles;
  what.amax = amax.as<float>();
  const DeviceBuffer codes[2] = {poisoned(DType::kU8, 130 * 128), poisoned(DType::kU8, 130 * 128)};
  const DeviceBuffer scales[2] = {poisoned(DType::kU8, scale_count),
                                  poisoned(DType::kU8, scale_count)};
  ASSERT_EQ(rotor_quantize(source.data(), &args, codes[0].as<uint8_t>(), scales[0].as<uint8_t>(),
                           stream()),
            ROTOR_OK)
      << rotor_last_error();
  ASSERT_OK(rotate_quantize(source.data(), what, codes[1].as<uint8_t>(), scales[1].as<uint8_t>(),
                            stream()));
  EXPECT_EQ(bytes_of(codes[0]), bytes_of(codes[1]));
  EXPECT_EQ(bytes_of(scales[0]), bytes_of(scales[1]));
}

TEST_F(Library, MultipliesWithPackedWeights) {
  rotor_kernels* created = nullptr;
  ASSERT_EQ(rotor_kernels_create(stream(), &created), ROTOR_OK) << rotor_last_error();
  const std::unique_ptr<rotor_kernels, Destroy> handle(created);
  const rotor_weight_scheme schemes[] = {
      {ROTOR_NVFP4, 16, ROTOR_SCALE_E4M3, ROTOR_GLOBAL_MULTIPLIER},
      {ROTOR_MXFP4, 32, ROTOR_SCALE_E8M0, ROTOR_GLOBAL_DIVISOR},
      {ROTOR_INT4, 128, ROTOR_SCALE_BF16, ROTOR_GLOBAL_DIVISOR}};
  const QuantScheme same[] = {kPackedSchemes[1], kPackedSchemes[2], kPackedSchemes[7]};
  constexpr int64_t kRows = 72;
  constexpr int64_t kCols = 640;
  for (size_t i = 0; i < std::size(schemes); ++i) {
    const QuantizedMatrix matrix = random_matrix(same[i], kRows, kCols, generator());
    const DeviceBuffer codes = upload(matrix.codes);
    const DeviceBuffer scales = upload(matrix.scales);
    int64_t bytes = 0;
    ASSERT_EQ(rotor_packed_weight_bytes(&schemes[i], kRows, kCols, &bytes), ROTOR_OK);
    const DeviceBuffer memory = poisoned(DType::kU8, bytes);
    rotor_weight weight{};
    ASSERT_EQ(
        rotor_pack_weight(&schemes[i], kRows, kCols, codes.as<uint8_t>(), scales.as<uint8_t>(),
                          matrix.global_scale, memory.data(), &weight, stream()),
        ROTOR_OK)
        << rotor_last_error();
    std::vector<float> weights = weights_of(matrix);
    const DeviceBuffer decoded = poisoned(DType::kBf16, kRows * kCols);
    ASSERT_EQ(rotor_unpack_weight(&weight, decoded.data(), stream()), ROTOR_OK);
    expect_values(weights, kCols, DType::kBf16, decoded);
    for (const int64_t m : {1, 3, 130}) {
      SCOPED_TRACE(::testing::Message() << "scheme " << i << ", m " << m);
      int64_t workspace_bytes = 0;
      ASSERT_EQ(rotor_gemm_workspace_bytes(&weight, m, &workspace_bytes), ROTOR_OK)
          << rotor_last_error();
      const DeviceBuffer workspace =
          upload(std::vector<uint8_t>(static_cast<size_t>(workspace_bytes)));
      std::vector<float> x = random_values(m * kCols);
      const DeviceBuffer source = upload_as(DType::kBf16, x);
      const DeviceBuffer out = poisoned(DType::kBf16, m * kRows);
      ASSERT_EQ(rotor_gemm(handle.get(), source.data(), m, &weight, out.data(), workspace.data(),
                           workspace_bytes, stream()),
                ROTOR_OK)
          << rotor_last_error();
      // Above a few activations weights may be rounded to BF16 on their way.
      expect_product(reference_product(x, m, weights, kCols), kRows, out, m > 64 ? 0x1p-9 : 0.0);
      EXPECT_EQ(rotor_gemm(handle.get(), source.data(), m, &weight, out.data(), workspace.data(),
                           workspace_bytes - 1, stream()),
                ROTOR_OUT_OF_MEMORY);
      EXPECT_NE(std::strstr(rotor_last_error(), "this product needs"), nullptr)
          << rotor_last_error();
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
