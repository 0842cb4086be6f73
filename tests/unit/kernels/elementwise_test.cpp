#include "kernels/elementwise.h"

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kCounts[] = {1, 3, 8, 15, 511, 512, 4095, 4096, 4097, 100003};

/// gate / (1 + e^-exponent(gate)) * up.
struct Gated {
  decltype(&silu_product) run;
  double (*exponent)(double);
  double relative;
};
const Gated kSilu{&silu_product, [](double x) { return x; }, 0x1p-15};
const Gated kGelu{&gelu_tanh_product,
                  [](double x) { return std::sqrt(8.0 / M_PI) * (x + 0.044715 * x * x * x); },
                  0x1p-14};

class Elementwise : public CudaTest {
 protected:
  /// Within the header's 2^-15 or 2^-14 and 2^-119, and BF16's 2^-8.
  void expect_gated(const Gated& gated, const std::vector<float>& gate,
                    const std::vector<float>& up, DType dtype, const DeviceBuffer& buffer) {
    std::vector<double> wanted(gate.size());
    std::vector<double> bounds(gate.size());
    for (size_t i = 0; i < gate.size(); ++i) {
      const auto x = static_cast<double>(gate[i]);
      wanted[i] = x / (1.0 + std::exp(-gated.exponent(x))) * static_cast<double>(up[i]);
      const double relative = gated.relative + (dtype == DType::kBf16 ? 0x1p-8 : 0.0);
      bounds[i] =
          relative * std::abs(wanted[i]) + 0x1p-119 * std::max(1.0, std::abs(double{up[i]}));
    }
    expect_near(wanted, bounds, static_cast<int64_t>(gate.size()), dtype, buffer);
  }
};

TEST_F(Elementwise, AddsInPlaceAndRoundsOnce) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(::testing::Message() << count << " of " << dtype_name(dtype));
      std::vector<float> x = random_values(count);
      std::vector<float> y = random_values(count, 100.0F);
      const DeviceBuffer sum = upload_guarded(dtype, x);
      const DeviceBuffer other = upload_as(dtype, y);
      ASSERT_OK(add(sum.data(), other.data(), 1.0F, dtype, count, stream()));
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] += y[i];
      }
      expect_values(x, count, dtype, sum);
    }
  }
}

TEST_F(Elementwise, AddCarriesWhatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x{infinity, infinity, std::nanf(""), 3e38F, -0.0F};
  std::vector<float> y{1.0F, -infinity, 1.0F, 3e38F, -0.0F};
  const DeviceBuffer sum = upload_guarded(DType::kF32, x);
  const DeviceBuffer other = upload(y);
  ASSERT_OK(add(sum.data(), other.data(), 1.0F, DType::kF32, 5, stream()));
  expect_values({infinity, std::nanf(""), std::nanf(""), infinity, -0.0F}, 5, DType::kF32, sum);
}

TEST_F(Elementwise, GatedProductsAreTrue) {
  for (const Gated& gated : {kSilu, kGelu}) {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const int64_t count : kCounts) {
        SCOPED_TRACE(::testing::Message() << count << " of " << dtype_name(dtype));
        std::vector<float> gate = random_values(count, 4.0F);
        std::vector<float> up = random_values(count);
        const DeviceBuffer gate_device = upload_as(dtype, gate);
        const DeviceBuffer up_device = upload_as(dtype, up);
        const DeviceBuffer result = poisoned(dtype, count);
        ASSERT_OK(
            gated.run(gate_device.data(), up_device.data(), dtype, count, result.data(), stream()));
        expect_gated(gated, gate, up, dtype, result);
      }
    }
  }
}

TEST_F(Elementwise, GatedProductsAreTrueOverTheWholeRange) {
  std::vector<float> values{0.0F, -0.0F, 1e-38F, -1e-30F, 1e30F, 3e38F, -1e30F, -3e38F};
  for (float x = -130.0F; x <= 130.0F; x += 0.37F) {
    values.push_back(x);
  }
  const std::vector<float> up(values.size(), 1.0F);
  const auto count = static_cast<int64_t>(values.size());
  const DeviceBuffer up_device = upload(up);
  for (const Gated& gated : {kSilu, kGelu}) {
    std::vector<float> gate = values;
    const DeviceBuffer result = upload_guarded(DType::kF32, gate);
    ASSERT_OK(
        gated.run(result.data(), up_device.data(), DType::kF32, count, result.data(), stream()));
    expect_gated(gated, gate, up, DType::kF32, result);
  }
}

TEST_F(Elementwise, GatedProductsMayOverwriteEitherInput) {
  std::vector<float> gate = random_values(1001);
  std::vector<float> up = random_values(1001);
  for (const Gated& gated : {kSilu, kGelu}) {
    for (const bool over_gate : {true, false}) {
      const DeviceBuffer gate_device = upload_guarded(DType::kBf16, gate);
      const DeviceBuffer up_device = upload_guarded(DType::kBf16, up);
      const DeviceBuffer& out = over_gate ? gate_device : up_device;
      ASSERT_OK(gated.run(gate_device.data(), up_device.data(), DType::kBf16, 1001, out.data(),
                          stream()));
      expect_gated(gated, gate, up, DType::kBf16, out);
    }
  }
}

TEST_F(Elementwise, ClampedSwigluIsTrueAndMayOverwriteEitherInput) {
  for (const auto& [alpha, limit] : {std::pair{1.702F, 7.0F}, {0.5F, 2.25F}}) {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const int64_t count : kCounts) {
        SCOPED_TRACE(::testing::Message() << count << " of " << dtype_name(dtype));
        std::vector<float> gate = random_values(count, 8.0F);
        std::vector<float> up = random_values(count, 8.0F);
        const bool over_gate = count % 2 == 0;
        const DeviceBuffer gate_device = upload_guarded(dtype, gate);
        const DeviceBuffer up_device = upload_guarded(dtype, up);
        const DeviceBuffer& out = over_gate ? gate_device : up_device;
        ASSERT_OK(clamped_swiglu(gate_device.data(), up_device.data(), dtype, count, alpha, limit,
                                 out.data(), stream()));
        std::vector<double> wanted;
        std::vector<double> bounds;
        for (size_t i = 0; i < gate.size(); ++i) {
          const auto most = static_cast<double>(limit);
          const double g = std::min(static_cast<double>(gate[i]), most);
          const double u = std::clamp(static_cast<double>(up[i]), -most, most);
          wanted.push_back(g / (1.0 + std::exp(-static_cast<double>(alpha) * g)) * (u + 1.0));
          bounds.push_back((0x1p-15 + (dtype == DType::kBf16 ? 0x1p-8 : 0.0)) *
                               std::abs(wanted.back()) +
                           0x1p-119);
        }
        expect_near(wanted, bounds, count, dtype, out);
      }
    }
  }
}

TEST_F(Elementwise, ClampedSwigluLetsANanThrough) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  const DeviceBuffer gate = upload<float>({nan, 1.0F, infinity, -infinity, 0.0F});
  const DeviceBuffer up = upload<float>({1.0F, nan, infinity, 1.0F, -infinity});
  const DeviceBuffer out = poisoned(DType::kF32, 5);
  ASSERT_OK(
      clamped_swiglu(gate.data(), up.data(), DType::kF32, 5, 1.0F, 80.0F, out.data(), stream()));
  const std::vector<float> got = download(DType::kF32, 5, out);
  EXPECT_TRUE(std::isnan(got[0]));
  EXPECT_TRUE(std::isnan(got[1]));
  EXPECT_FLOAT_EQ(got[2], 80.0F * 81.0F);
  EXPECT_EQ(got[4], 0.0F);
}

TEST_F(Elementwise, SoftCapIsTrueInPlace) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(::testing::Message() << count << " of " << dtype_name(dtype));
      std::vector<float> x = random_values(count, 40.0F);
      x[0] = -1e30F;
      const DeviceBuffer capped = upload_guarded(dtype, x);
      ASSERT_OK(soft_cap(capped.data(), dtype, count, 30.0F, stream()));
      std::vector<double> wanted;
      std::vector<double> bounds;
      for (const float value : x) {
        wanted.push_back(30.0 * std::tanh(static_cast<double>(value) / 30.0));
        bounds.push_back(30.0 * 0x1p-19 +
                         (dtype == DType::kBf16 ? 0x1p-8 * std::abs(wanted.back()) : 0.0));
      }
      expect_near(wanted, bounds, count, dtype, capped);
    }
  }
}

TEST_F(Elementwise, ConvertsEveryPair) {
  for (const DType in : {DType::kF32, DType::kBf16, DType::kF16}) {
    for (const DType out : {DType::kF32, DType::kBf16}) {
      for (const int64_t count : kCounts) {
        SCOPED_TRACE(::testing::Message()
                     << count << " of " << dtype_name(in) << " to " << dtype_name(out));
        std::vector<float> x = random_values(count);
        const DeviceBuffer source = upload_as(in, x);
        const DeviceBuffer result = poisoned(out, count);
        ASSERT_OK(convert(source.data(), in, count, result.data(), out, stream()));
        expect_values(x, count, out, result);
      }
    }
  }
}

TEST_F(Elementwise, ConvertsEveryHalf) {
  // All patterns of 16 bits: subnormals, infinities and NaNs too.
  std::vector<uint16_t> halves(1 << 16);
  std::vector<float> f16;
  std::vector<float> bf16;
  for (size_t i = 0; i < halves.size(); ++i) {
    halves[i] = static_cast<uint16_t>(i);
    f16.push_back(f16_to_f32(halves[i]));
    bf16.push_back(bf16_to_f32(halves[i]));
  }
  const DeviceBuffer source = upload(halves);
  for (const DType out : {DType::kF32, DType::kBf16}) {
    const DeviceBuffer result = poisoned(out, 1 << 16);
    ASSERT_OK(convert(source.data(), DType::kF16, 1 << 16, result.data(), out, stream()));
    expect_values(f16, 1 << 16, out, result);
    ASSERT_OK(convert(source.data(), DType::kBf16, 1 << 16, result.data(), out, stream()));
    expect_values(bf16, 1 << 16, out, result);
  }
}

TEST(ElementwiseArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  EXPECT_FAILS(add(x, x, 1.0F, DType::kF16, 8, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "x of F16");
  EXPECT_FAILS(add(x, x + 1, 1.0F, DType::kF32, 8, nullptr), Code::kInvalidArgument, "BAD_POINTER",
               "y is not aligned");
  EXPECT_FAILS(add(x, x, 1.0F, DType::kF32, -1, nullptr), Code::kInvalidArgument, "BAD_SHAPE",
               "-1");
  EXPECT_FAILS(silu_product(x, nullptr, DType::kF32, 8, x, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "up is null");
  EXPECT_FAILS(silu_product(x, x, DType::kF64, 8, x, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "gate of F64");
  for (const float cap : {0.0F, -1.0F, std::nanf("")}) {
    EXPECT_FAILS(soft_cap(x, DType::kF32, 8, cap, nullptr), Code::kInvalidArgument, "BAD_SHAPE",
                 "soft cap");
  }
  EXPECT_FAILS(soft_cap(x, DType::kF16, 8, 1.0F, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "x of F16");
  EXPECT_FAILS(convert(x, DType::kF32, 8, x, DType::kF16, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "out of F16");
  EXPECT_OK(add(nullptr, nullptr, 1.0F, DType::kF32, 0, nullptr));
  EXPECT_OK(silu_product(nullptr, nullptr, DType::kF32, 0, nullptr, nullptr));
  for (const float bad : {0.0F, -1.0F, std::nanf("")}) {
    EXPECT_FAILS(clamped_swiglu(x, x, DType::kF32, 8, bad, 7.0F, x, nullptr),
                 Code::kInvalidArgument, "BAD_SHAPE", "alpha");
    EXPECT_FAILS(clamped_swiglu(x, x, DType::kF32, 8, 1.0F, bad, x, nullptr),
                 Code::kInvalidArgument, "BAD_SHAPE", "limit");
  }
  EXPECT_OK(gelu_tanh_product(nullptr, nullptr, DType::kF32, 0, nullptr, nullptr));
  EXPECT_OK(soft_cap(nullptr, DType::kF32, 0, 1.0F, nullptr));
  EXPECT_OK(convert(nullptr, DType::kF16, 0, nullptr, DType::kF32, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
