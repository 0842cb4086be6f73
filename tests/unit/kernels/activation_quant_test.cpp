#include "kernels/activation_quant.h"

#include <limits>

#include "quant/format/activations.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

constexpr QuantScheme scheme_of(Format format, int64_t group,
                                GlobalScale global = GlobalScale::kDivisor) {
  return {format, group, DType::kU8, global};
}

constexpr QuantScheme kCases[] = {
    scheme_of(Format::kNvfp4, 16), scheme_of(Format::kNvfp4, 16, GlobalScale::kMultiplier),
    scheme_of(Format::kMxfp4, 32), scheme_of(Format::kMxfp4, 32, GlobalScale::kThree),
    scheme_of(Format::kInt4, 16),  scheme_of(Format::kInt4, 32),
    scheme_of(Format::kInt4, 64),  scheme_of(Format::kInt4, 128),
    scheme_of(Format::kInt4, 256)};

class ActivationQuant : public CudaTest {
 protected:
  /// x [rows, cols] against the CPU, for every dtype in and out.
  void check(const std::vector<float>& x, int64_t cols, const QuantScheme& what,
             float global_scale) {
    const auto count = static_cast<int64_t>(x.size());
    for (const DType in : {DType::kF32, DType::kBf16}) {
      std::vector<float> held = x;
      const DeviceBuffer source = upload_as(in, held);
      std::vector<float> expected(held.size());
      SerialParallel serial;
      rotor::fake_quantize_activations(held.data(), count / cols, cols, what, global_scale,
                                       expected.data(), serial);
      for (const DType out : {DType::kF32, DType::kBf16}) {
        SCOPED_TRACE(::testing::Message()
                     << to_string(what.format) << " groups of " << what.group_size << ", "
                     << count / cols << " x " << cols << ", " << dtype_name(in) << " to "
                     << dtype_name(out) << ", global scale " << global_scale);
        const DeviceBuffer result = poisoned(out, count);
        ASSERT_OK(fake_quantize_activations(source.data(), in, count / cols, cols, what,
                                            global_scale, result.data(), out, stream()));
        expect_values(expected, cols, out, result);
      }
    }
  }
};

TEST_F(ActivationQuant, GivesTheCpusBitsForEveryFormatShapeAndDtype) {
  for (const QuantScheme& what : kCases) {
    for (const int64_t cols :
         {what.group_size, 3 * what.group_size, 11 * what.group_size, int64_t{28672}}) {
      for (const int64_t rows : {1, 3}) {
        check(random_values(rows * cols, 3.0F), cols, what, 2688.0F / 12.0F);
      }
    }
  }
}

TEST_F(ActivationQuant, GivesTheCpusBitsForEveryExponent) {
  // Any pattern of bits: subnormals, infinities and NaNs too, one exponent a group.
  std::uniform_int_distribution<uint32_t> mantissa(0, 0x807FFFFF);
  for (const QuantScheme& what : kCases) {
    std::vector<float> x(static_cast<size_t>(256 * what.group_size));
    for (size_t i = 0; i < x.size(); ++i) {
      const auto exponent = static_cast<uint32_t>(i / static_cast<size_t>(what.group_size));
      x[i] = std::bit_cast<float>((mantissa(generator()) & 0x807FFFFFU) | exponent << 23);
    }
    for (const float global_scale : {1.0F, 224.0F, 1e-30F, 1e30F}) {
      check(x, 16 * what.group_size, what, global_scale);
    }
  }
}

TEST_F(ActivationQuant, RoundsTiesAsTheCpu) {
  // Halves of every step up to past the largest value, both signs, at a scale that is exact.
  std::vector<float> x;
  for (const QuantScheme& what : kCases) {
    x.assign(static_cast<size_t>(8 * what.group_size), 0.0F);
    for (size_t i = 0; i < x.size(); ++i) {
      const float step = static_cast<float>(i % 32) * 0.25F;
      x[i] = i / 32 % 2 == 0 ? step : -step;
    }
    check(x, what.group_size, what, 1.0F);
  }
}

TEST_F(ActivationQuant, ZerosStayAndBadValuesSpoilTheirGroup) {
  for (const QuantScheme& what : kCases) {
    const auto group = static_cast<size_t>(what.group_size);
    std::vector<float> x(4 * group, 0.0F);
    x[group - 1] = -0.0F;
    x[group] = 1e-30F;
    x[2 * group + 1] = std::numeric_limits<float>::quiet_NaN();
    x[4 * group - 1] = -std::numeric_limits<float>::infinity();
    check(x, 4 * what.group_size, what, 100.0F);
  }
}

TEST_F(ActivationQuant, InPlaceIsTheSame) {
  const std::vector<float> x = random_values(5 * 96);
  std::vector<float> expected(x.size());
  SerialParallel serial;
  const QuantScheme scheme = scheme_of(Format::kMxfp4, 32);
  rotor::fake_quantize_activations(x.data(), 5, 96, scheme, 1.0F, expected.data(), serial);
  DeviceBuffer buffer = poisoned(DType::kF32, 5 * 96);
  ASSERT_OK(buffer.copy_from_host(x.data(), 5 * 96 * 4, stream()));
  ASSERT_OK(fake_quantize_activations(buffer.data(), DType::kF32, 5, 96, scheme, 1.0F,
                                      buffer.data(), DType::kF32, stream()));
  expect_values(expected, 96, DType::kF32, buffer);
}

TEST(ActivationQuantArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  const auto quantize = [&](Format format, int64_t group, int64_t cols, float global_scale) {
    return fake_quantize_activations(x, DType::kF32, 1, cols, scheme_of(format, group),
                                     global_scale, x, DType::kF32, nullptr);
  };
  EXPECT_FAILS(quantize(Format::kNvfp4, 32, 64, 1.0F), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "nvfp4: 16; mxfp4: 32; int4: powers of two from 16 to 256");
  EXPECT_FAILS(quantize(Format::kInt4, 24, 48, 1.0F), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "groups of 24 for int4");
  EXPECT_FAILS(quantize(Format::kMxfp4, 32, 48, 1.0F), Code::kInvalidArgument, "BAD_SHAPE",
               "48 columns");
  for (const float bad : {0.0F, -1.0F, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_FAILS(quantize(Format::kNvfp4, 16, 64, bad), Code::kInvalidArgument, "BAD_SCALE",
                 "input_global_scale");
  }
  EXPECT_FAILS(fake_quantize_activations(x, DType::kF32, 1, 64, scheme_of(Format::kMxfp4, 32), 1.0F,
                                         x, DType::kF16, nullptr),
               Code::kUnimplemented, "UNSUPPORTED_ON_CUDA", "out of F16");
}

}  // namespace
}  // namespace rotor::kernels
