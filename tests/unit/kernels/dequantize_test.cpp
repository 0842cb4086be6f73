#include "kernels/dequantize.h"

#include "quant/format/codes.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class Dequantize : public CudaTest {
 protected:
  void check(Format format, int64_t group_size, int64_t rows, int64_t cols,
             const std::vector<uint8_t>& codes, const std::vector<float>& effective) {
    std::vector<float> expected(static_cast<size_t>(rows * cols));
    SerialParallel serial;
    rotor::dequantize_codes({format, group_size, DType::kF32}, codes.data(), effective.data(), rows,
                            cols, expected.data(), serial);
    const DeviceBuffer device_codes = upload(codes);
    const DeviceBuffer device_scales = upload(effective);
    for (const DType out : {DType::kF32, DType::kBf16}) {
      SCOPED_TRACE(::testing::Message() << to_string(format) << " groups of " << group_size << ", "
                                        << rows << " x " << cols << ", to " << dtype_name(out));
      const DeviceBuffer result = poisoned(out, rows * cols);
      ASSERT_OK(dequantize_codes(format, group_size, device_codes.as<uint8_t>(),
                                 device_scales.as<float>(), rows, cols, result.data(), out,
                                 stream()));
      expect_values(expected, cols, out, result);
    }
  }

  void check_random(Format format, int64_t group_size, int64_t rows, int64_t cols) {
    std::uniform_int_distribution<int> byte(0, 255);
    std::vector<uint8_t> codes(static_cast<size_t>(rows * cols / 2));
    for (uint8_t& pair : codes) {
      pair = static_cast<uint8_t>(byte(generator()));
    }
    check(format, group_size, rows, cols, codes, random_values(rows * cols / group_size, 0.02F));
  }
};

TEST_F(Dequantize, GivesTheCpusBitsForEveryFormatShapeAndDtype) {
  for (const auto& [format, group] : {std::pair<Format, int64_t>{Format::kNvfp4, 16},
                                      {Format::kMxfp4, 32},
                                      {Format::kInt4, 16},
                                      {Format::kInt4, 128},
                                      {Format::kInt4, 256}}) {
    for (const int64_t cols : {group, 3 * group, 11 * group, int64_t{28672}}) {
      for (const int64_t rows : {1, 3, 65}) {
        check_random(format, group, rows, cols);
      }
    }
  }
}

TEST_F(Dequantize, KnowsEveryPairOfCodesAtEveryScale) {
  // One row a scale, each with all 256 bytes; scales with every exponent, zero and the subnormals.
  std::vector<uint8_t> codes;
  std::vector<float> effective;
  for (uint32_t exponent = 0; exponent < 255; ++exponent) {
    for (int byte = 0; byte < 256; ++byte) {
      codes.push_back(static_cast<uint8_t>(byte));
    }
    effective.insert(effective.end(), 16, std::bit_cast<float>(exponent << 23 | 0x5A5A5AU));
  }
  for (const Format format : {Format::kMxfp4, Format::kInt4}) {
    check(format, 32, 255, 512, codes, effective);
  }
}

TEST(DequantizeArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) uint8_t codes[32] = {};
  alignas(16) float effective[8] = {};
  alignas(16) float out[64] = {};
  EXPECT_FAILS(
      dequantize_codes(Format::kInt4, 8, codes, effective, 1, 64, out, DType::kF32, nullptr),
      Code::kUnimplemented, "UNSUPPORTED_ON_CUDA", "groups of 8 for int4");
  EXPECT_FAILS(
      dequantize_codes(Format::kNvfp4, 16, codes, effective, 1, 64, out, DType::kU8, nullptr),
      Code::kUnimplemented, "UNSUPPORTED_ON_CUDA", "out of U8");
  EXPECT_FAILS(
      dequantize_codes(Format::kNvfp4, 16, codes + 2, effective, 1, 48, out, DType::kF32, nullptr),
      Code::kInvalidArgument, "BAD_POINTER", "codes");
  EXPECT_FAILS(
      dequantize_codes(Format::kNvfp4, 16, codes, effective, -1, 64, out, DType::kF32, nullptr),
      Code::kInvalidArgument, "BAD_SHAPE", "[-1, 64]");
}

}  // namespace
}  // namespace rotor::kernels
