#include "kernels/rotate_quantize.h"

#include <limits>
#include <string>

#include "quant/format/activations.h"
#include "quant/format/codes.h"
#include "quant/format/e2m1.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"
#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

constexpr QuantScheme kNvfp4{Format::kNvfp4, 16, DType::kF8E4M3, GlobalScale::kDivisor};
constexpr QuantScheme kModelOpt{Format::kNvfp4, 16, DType::kF8E4M3, GlobalScale::kMultiplier};
constexpr QuantScheme kMxfp4{Format::kMxfp4, 32, DType::kU8, GlobalScale::kDivisor};
constexpr QuantScheme kThirds{Format::kMxfp4, 32, DType::kU8, GlobalScale::kThree};

/// The place of a scale in tiles, read off the layout's picture: tiles of 128 rows by 4 groups,
/// each 32 lines of 16 bytes; a line holds rows r, r + 32, r + 64, r + 96, four groups each.
int64_t place_in_tiles(int64_t row, int64_t group, int64_t groups) {
  const int64_t tiles_in_a_row = (groups + 3) / 4;
  const int64_t tile = (row / 128) * tiles_in_a_row + group / 4;
  const int64_t line = row % 128 % 32;
  const int64_t quarter = row % 128 / 32;
  return (tile * 32 + line) * 16 + quarter * 4 + group % 4;
}

/// Codes and scales as the CPU makes them.
struct Packed {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
};

class RotateQuantizeTest : public CudaTest {
 protected:
  static std::vector<float> rotated(const std::vector<float>& x, const RotateQuantize& what) {
    std::vector<float> out = x;
    SerialParallel serial;
    if (what.block != 1) {
      EXPECT_OK(
          rotate_rows(x.data(), DType::kF32, what.rows, what.cols, what.block, out.data(), serial));
    }
    return out;
  }

  static uint8_t absmax_byte(const QuantScheme& scheme, float absmax, float global_scale) {
    if (scheme.format == Format::kMxfp4) {
      return scheme.global == GlobalScale::kThree ? e8m0_floor(absmax)
                                                  : e8m0_activation_byte(absmax);
    }
    const float divisor =
        scheme.global == GlobalScale::kMultiplier ? 1.0F / global_scale : global_scale;
    return e4m3_encode(divisor * absmax / kE2m1Max);
  }

  static Packed on_cpu(const std::vector<float>& x, const RotateQuantize& what) {
    const std::vector<float> values = rotated(x, what);
    const auto group = static_cast<size_t>(what.scheme.group_size);
    const float global_scale = what.scheme.global == GlobalScale::kThree ? 3.0F
                               : what.scheme.format == Format::kMxfp4    ? 1.0F
                                                                         : what.global_scale;
    std::vector<uint8_t> codes(values.size());
    Packed packed{std::vector<uint8_t>(values.size() / 2), {}};
    for (size_t begin = 0; begin < values.size(); begin += group) {
      float absmax = 0.0F;
      bool finite = true;
      for (size_t i = begin; i < begin + group; ++i) {
        finite = finite && std::isfinite(values[i]);
        absmax = std::max(absmax, std::abs(values[i]));
      }
      if (!finite) {
        packed.scales.push_back(what.scheme.format == Format::kNvfp4 ? 0x7F : 0xFF);
        continue;
      }
      packed.scales.push_back(absmax_byte(what.scheme, absmax, what.global_scale));
      float effective = 0.0F;
      effective_scales(what.scheme, &packed.scales.back(), 1, global_scale, &effective);
      for (size_t i = begin; effective != 0.0F && i < begin + group; ++i) {
        codes[i] = e2m1_encode(values[i] / effective);
      }
    }
    pack_nibbles(codes.data(), static_cast<int64_t>(codes.size()), packed.codes.data());
    return packed;
  }

  /// Behind a guard that must stay.
  std::vector<uint8_t> bytes_of(const DeviceBuffer& buffer, int64_t count) {
    std::vector<uint8_t> bytes(static_cast<size_t>(buffer.bytes()));
    EXPECT_OK(buffer.copy_to_host(bytes.data(), buffer.bytes(), stream()));
    synchronize();
    EXPECT_TRUE(std::all_of(bytes.begin() + count, bytes.end(), [](uint8_t byte) {
      return byte == 0xFF;
    })) << "written past the end";
    bytes.resize(static_cast<size_t>(count));
    return bytes;
  }

  Packed on_gpu(std::vector<float>& x, const RotateQuantize& what) {
    const DeviceBuffer source = upload_as(DType::kBf16, x);
    const int64_t count = what.rows * what.cols;
    const int64_t groups = what.cols / what.scheme.group_size;
    const int64_t scales = scale_bytes(what.order, what.rows, groups);
    const DeviceBuffer codes = poisoned(DType::kU8, count / 2);
    const DeviceBuffer stored = poisoned(DType::kU8, scales);
    EXPECT_OK(
        rotate_quantize(source.data(), what, codes.as<uint8_t>(), stored.as<uint8_t>(), stream()));
    return {bytes_of(codes, count / 2), bytes_of(stored, scales)};
  }

  /// Every code and scale is the CPU's; scales in tiles stand where the layout says, zeros between.
  void check(std::vector<float> x, const RotateQuantize& what) {
    SCOPED_TRACE(::testing::Message()
                 << what.rows << " x " << what.cols << ", block " << what.block << ", "
                 << to_string(what.scheme.format) << " global "
                 << static_cast<int>(what.scheme.global) << ", order "
                 << static_cast<int>(what.order) << ", global scale " << what.global_scale);
    const Packed actual = on_gpu(x, what);
    const Packed expected = on_cpu(x, what);
    for (size_t i = 0; i < expected.codes.size(); ++i) {
      ASSERT_EQ(int{actual.codes[i]}, int{expected.codes[i]})
          << "first difference at row " << static_cast<int64_t>(2 * i) / what.cols << ", column "
          << static_cast<int64_t>(2 * i) % what.cols;
    }
    const int64_t groups = what.cols / what.scheme.group_size;
    std::vector<uint8_t> wanted = expected.scales;
    if (what.order == ScaleOrder::kTiles) {
      wanted.assign(actual.scales.size(), 0);
      for (int64_t i = 0; i < what.rows * groups; ++i) {
        wanted[static_cast<size_t>(place_in_tiles(i / groups, i % groups, groups))] =
            expected.scales[static_cast<size_t>(i)];
      }
    }
    ASSERT_EQ(actual.scales, wanted);
  }
};

TEST_F(RotateQuantizeTest, GivesTheCpusBitsForEveryBlockShapeFormatAndOrder) {
  for (const QuantScheme& scheme : {kNvfp4, kModelOpt, kMxfp4, kThirds}) {
    const float global_scale = scheme.global == GlobalScale::kMultiplier ? 1.0F / 200.0F : 200.0F;
    for (const int64_t block : {1, 16, 32, 64, 128, 256}) {
      const int64_t unit = std::max(block, scheme.group_size);
      for (const ScaleOrder order : {ScaleOrder::kRows, ScaleOrder::kTiles}) {
        for (const auto& [rows, cols] : {std::pair{int64_t{1}, unit},
                                         {3, unit},
                                         {130, 3 * unit},
                                         {129, 5 * unit},
                                         {2, int64_t{28672}}}) {
          check(random_values(rows * cols, 3.0F),
                {rows, cols, block, scheme, ScaleSearch::kAbsmax, order, global_scale});
        }
      }
    }
  }
}

TEST_F(RotateQuantizeTest, GivesTheCpusBitsForEveryExponent) {
  std::uniform_int_distribution<uint32_t> bits(0, 0x807FFFFF);
  for (const QuantScheme& scheme : {kNvfp4, kModelOpt, kMxfp4, kThirds}) {
    for (const int64_t block : {1, 16, 128}) {
      std::vector<float> x(256 * 128);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto exponent = static_cast<uint32_t>(i / 128);
        x[i] = std::bit_cast<float>((bits(generator()) & 0x807FFFFFU) | exponent << 23);
      }
      for (const float global_scale : {1.0F, 224.0F, 1e-30F, 1e30F}) {
        check(x, {32, 1024, block, scheme, ScaleSearch::kAbsmax, ScaleOrder::kRows, global_scale});
      }
    }
  }
}

TEST_F(RotateQuantizeTest, RoundsTiesAsTheCpu) {
  for (const QuantScheme& scheme : {kNvfp4, kModelOpt, kMxfp4, kThirds}) {
    std::vector<float> x(1024);
    for (size_t i = 0; i < x.size(); ++i) {
      const float step = static_cast<float>(i % 32) * 0.25F;
      x[i] = i / 32 % 2 == 0 ? step : -step;
    }
    check(x, {1, 1024, 1, scheme, ScaleSearch::kAbsmax, ScaleOrder::kRows, 1.0F});
  }
}

TEST_F(RotateQuantizeTest, ZerosStayAndBadValuesSpoilTheirGroup) {
  for (const QuantScheme& scheme : {kNvfp4, kMxfp4}) {
    for (const int64_t block : {1, 16, 64}) {
      std::vector<float> x(512, 0.0F);
      x[15] = -0.0F;
      x[64] = 1e-30F;
      x[130] = std::numeric_limits<float>::quiet_NaN();
      x[511] = -std::numeric_limits<float>::infinity();
      check(x, {1, 512, block, scheme, ScaleSearch::kAbsmax, ScaleOrder::kRows, 100.0F});
    }
  }
}

TEST_F(RotateQuantizeTest, ADynamicGlobalScaleIsThatOfTheRotatedInput) {
  for (const QuantScheme& scheme : {kNvfp4, kModelOpt}) {
    for (const int64_t block : {1, 16, 32, 64, 128, 256}) {
      std::vector<float> x = random_values(5 * 768, 3.0F);
      const DeviceBuffer source = upload_as(DType::kBf16, x);
      RotateQuantize what{5, 768, block, scheme};
      const DeviceBuffer amax = upload(std::vector<float>{0.0F});
      ASSERT_OK(rotated_max_abs(source.data(), 5, 768, block, amax.as<float>(), stream()));
      float found = 0.0F;
      ASSERT_OK(amax.copy_to_host(&found, 4, stream()));
      synchronize();
      float largest = 0.0F;
      for (const float value : rotated(x, what)) {
        largest = std::max(largest, std::abs(value));
      }
      EXPECT_EQ(found, largest) << block;
      what.amax = amax.as<float>();
      const Packed actual = on_gpu(x, what);
      what.global_scale = global_scale_for(scheme, largest);
      const Packed expected = on_cpu(x, what);
      EXPECT_EQ(actual.codes, expected.codes) << block;
      EXPECT_EQ(actual.scales, expected.scales) << block;
    }
  }
}

TEST_F(RotateQuantizeTest, MseChoosesNoWorseScalesThanTheCpu) {
  for (const QuantScheme& scheme : {kNvfp4, kModelOpt, kMxfp4, kThirds}) {
    for (const int64_t block : {1, 32, 128}) {
      std::vector<float> x = random_values(64 * 1024, 3.0F);
      const float global_scale = scheme.format == Format::kMxfp4 ? 1.0F : 0.0F;
      RotateQuantize what{64, 1024, block, scheme, ScaleSearch::kMse};
      what.global_scale = global_scale == 0.0F ? global_scale_for(scheme, 14.0F) : 1.0F;
      const Packed actual = on_gpu(x, what);
      const std::vector<float> values = rotated(x, what);
      const float global = scheme.global == GlobalScale::kThree ? 3.0F : what.global_scale;
      const int64_t groups = 1024 / scheme.group_size;
      std::vector<uint8_t> stored(static_cast<size_t>(64 * groups));
      std::vector<float> effective(stored.size());
      SerialParallel serial;
      ASSERT_OK(search_scales(values.data(), 64, 1024, scheme, global, {}, stored.data(),
                              effective.data(), serial));
      std::vector<float> mine(stored.size());
      effective_scales(scheme, actual.scales.data(), static_cast<int64_t>(mine.size()), global,
                       mine.data());
      std::vector<uint8_t> codes(values.size());
      unpack_nibbles(actual.codes.data(), static_cast<int64_t>(codes.size()), codes.data());
      int different = 0;
      for (size_t g = 0; g < mine.size(); ++g) {
        double error = 0.0;
        double least = 0.0;
        for (size_t i = 0; i < static_cast<size_t>(scheme.group_size); ++i) {
          const size_t at = g * static_cast<size_t>(scheme.group_size) + i;
          ASSERT_EQ(int{codes[at]}, int{e2m1_encode(values[at] / mine[g])});
          const auto squared = [&](float scale) {
            const double off =
                double{values[at]} - double{e2m1_round(values[at] / scale)} * double{scale};
            return off * off;
          };
          error += squared(mine[g]);
          least += squared(effective[g]);
        }
        different += actual.scales[g] == stored[g] ? 0 : 1;
        ASSERT_LE(error, least * (1.0 + 1e-4)) << "group " << g;
      }
      EXPECT_LE(different, static_cast<int>(mine.size() / 500));
    }
  }
}

TEST(RotateQuantizeArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) uint8_t memory[512] = {};
  const auto call = [&](const RotateQuantize& what, const void* x = nullptr) {
    return rotate_quantize(x, what, memory, memory, nullptr);
  };
  const QuantScheme int4{Format::kInt4, 32, DType::kBf16, GlobalScale::kDivisor};
  EXPECT_FAILS(call({1, 64, 16, int4}, memory), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "int4");
  for (const int64_t block : {2, 8, 24, 512}) {
    EXPECT_FAILS(call({1, 3072, block, kNvfp4}, memory), Code::kUnimplemented,
                 "UNSUPPORTED_ON_CUDA", "powers of two from 16 to 256");
  }
  EXPECT_FAILS(call({1, 72, 16, kNvfp4}, memory), Code::kInvalidArgument, "BAD_SHAPE", "72");
  EXPECT_FAILS(call({1, 64, 128, kNvfp4}, memory), Code::kInvalidArgument, "BAD_SHAPE", "128");
  EXPECT_FAILS(call({-1, 64, 16, kNvfp4}, memory), Code::kInvalidArgument, "BAD_SHAPE", "-1");
  EXPECT_FAILS(call({1, 64, 16, kNvfp4}), Code::kInvalidArgument, "BAD_POINTER", "x is null");
  EXPECT_FAILS(call({1, 64, 16, kNvfp4}, memory + 2), Code::kInvalidArgument, "BAD_POINTER",
               "not aligned to 16");
  RotateQuantize what{1, 64, 16, kNvfp4};
  what.global_scale = 0.0F;
  EXPECT_FAILS(call(what, memory), Code::kInvalidArgument, "BAD_SCALE", "global_scale");
  EXPECT_OK(call({0, 64, 16, kNvfp4}));
}

}  // namespace
}  // namespace rotor::kernels
