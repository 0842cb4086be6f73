#include "kernels/transpose.h"

#include <gtest/gtest.h>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class TransposeTest : public CudaTest {
 protected:
  template <typename T>
  std::vector<T> downloaded(const DeviceBuffer& buffer, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    EXPECT_OK(buffer.copy_to_host(values.data(), count * int64_t{sizeof(T)}, stream()));
    synchronize();
    return values;
  }
};

TEST_F(TransposeTest, TurnsAMatrixAndPadsItsLines) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 16}, {33, 48}, {130, 272}}) {
    const int64_t places = (rows + 127) / 128 * 128;
    const int64_t ld = places + 64;
    const std::vector<float> in = random_values(rows * cols);
    const DeviceBuffer out = poisoned(DType::kF32, cols * ld);
    ASSERT_OK(
        transpose(upload(in).as<float>(), rows, cols, 1.5F, places, out.as<float>(), ld, stream()));
    const std::vector<float> result = downloaded<float>(out, cols * ld);
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < places; ++r) {
        const float expected = r < rows ? in[static_cast<size_t>(r * cols + c)] : 1.5F;
        ASSERT_EQ(result[static_cast<size_t>(c * ld + r)], expected) << r << ", " << c;
      }
      for (int64_t r = places; r < ld; ++r) {
        ASSERT_TRUE(std::isnan(result[static_cast<size_t>(c * ld + r)])) << r << ", " << c;
      }
    }
  }
}

TEST_F(TransposeTest, UnpacksAndPacksCodes) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 16}, {33, 48}, {130, 272}}) {
    const int64_t places = (rows + 127) / 128 * 128;
    const int64_t ld = places + 64;
    std::vector<uint8_t> packed(static_cast<size_t>(rows * cols / 2));
    for (uint8_t& byte : packed) {
      byte = static_cast<uint8_t>(generator()());
    }
    const DeviceBuffer codes = poisoned(DType::kU8, cols * ld);
    ASSERT_OK(unpack_columns(upload(packed).as<uint8_t>(), rows, cols, places, codes.as<uint8_t>(),
                             ld, stream()));
    const std::vector<uint8_t> unpacked = downloaded<uint8_t>(codes, cols * ld);
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < rows; ++r) {
        const uint8_t byte = packed[static_cast<size_t>((r * cols + c) / 2)];
        ASSERT_EQ(unpacked[static_cast<size_t>(c * ld + r)], c % 2 == 0 ? byte & 15 : byte >> 4);
      }
      for (int64_t r = rows; r < ld; ++r) {
        ASSERT_EQ(unpacked[static_cast<size_t>(c * ld + r)], r < places ? 0 : 0xFF);
      }
    }
    const DeviceBuffer back = poisoned(DType::kU8, rows * cols / 2);
    ASSERT_OK(pack_columns(codes.as<uint8_t>(), ld, rows, cols, back.as<uint8_t>(), stream()));
    EXPECT_EQ(downloaded<uint8_t>(back, rows * cols / 2), packed);
  }
}

}  // namespace
}  // namespace rotor::kernels
