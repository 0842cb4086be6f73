#include "quant/scales/scale_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "quant/format/codes.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"
#include "tests/unit/quant/reference/problems.h"

namespace rotor {
namespace {

struct Found {
  std::vector<uint8_t> stored;
  std::vector<float> effective;
};

Found search(const std::vector<float>& w, int64_t cols, const QuantScheme& scheme, float global,
             const ScaleOptions& options, Parallel& parallel) {
  const auto groups = w.size() / static_cast<size_t>(scheme.group_size);
  Found found{std::vector<uint8_t>(groups * static_cast<size_t>(dtype_size(scheme.scale_dtype))),
              std::vector<float>(groups)};
  EXPECT_TRUE(search_scales(w.data(), static_cast<int64_t>(w.size()) / cols, cols, scheme, global,
                            options, found.stored.data(), found.effective.data(), parallel)
                  .ok());
  return found;
}

Found search(const std::vector<float>& w, int64_t cols, const QuantScheme& scheme, float global,
             const ScaleOptions& options) {
  SerialParallel serial;
  return search(w, cols, scheme, global, options, serial);
}

/// Weighted squared error of a group at a scale, by trying every code of every weight.
double group_error(const float* w, const float* weights, int64_t size, double scale,
                   Format format) {
  double total = 0.0;
  for (int64_t c = 0; c < size; ++c) {
    double best = std::numeric_limits<double>::infinity();
    for (const float value : code_values(format)) {
      const double error = static_cast<double>(w[c]) - static_cast<double>(value) * scale;
      best = std::min(best, error * error);
    }
    total += best * (weights == nullptr ? 1.0 : static_cast<double>(weights[c]));
  }
  return total;
}

std::vector<float> heavy_weights(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::student_t_distribution<float> heavy(4.0F);
  std::vector<float> w(count);
  for (float& value : w) {
    value = 0.02F * heavy(generator);
  }
  return w;
}

float largest(const float* w, int64_t count) {
  float result = 0.0F;
  for (int64_t i = 0; i < count; ++i) {
    result = std::max(result, std::fabs(w[i]));
  }
  return result;
}

TEST(GlobalScale, FillsTheRangeOfE4m3AndStaysFinite) {
  EXPECT_EQ(nvfp4_global_scale(.21F), 12800.0F);
  EXPECT_EQ(nvfp4_global_scale(.5F), 5376.0F);
  EXPECT_EQ(nvfp4_global_scale(0.0F), 1.0F);
  for (const float amax : {1e-45F, 1e-38F, 1e-20F, 1e20F, std::numeric_limits<float>::max()}) {
    EXPECT_TRUE(std::isnormal(nvfp4_global_scale(amax))) << amax;
    EXPECT_TRUE(std::isnormal(e4m3_decode(kE4m3MinByte) / nvfp4_global_scale(amax))) << amax;
  }
}

TEST(GlobalScale, GoesInTheDirectionOfTheLayout) {
  const auto of = [](Format format, Layout layout, float amax) {
    return global_scale_for(*make_scheme(format, 0, DType::kBf16, layout), amax);
  };
  EXPECT_EQ(of(Format::kNvfp4, Layout::kCompressedTensors, .5F), 5376.0F);
  EXPECT_EQ(of(Format::kNvfp4, Layout::kFpQuant, .5F), 5376.0F);
  EXPECT_EQ(of(Format::kNvfp4, Layout::kModelOpt, .5F), .5F / 2688.0F);
  EXPECT_EQ(of(Format::kNvfp4, Layout::kModelOpt, 0.0F), 1.0F);
  EXPECT_EQ(of(Format::kMxfp4, Layout::kFpQuant, .5F), 3.0F);
  EXPECT_EQ(of(Format::kMxfp4, Layout::kCompressedTensors, .5F), 1.0F);
  EXPECT_EQ(of(Format::kInt4, Layout::kCompressedTensors, .5F), 1.0F);
  for (const float amax : {1e-45F, 1e-38F, 1e-20F, 1e20F, std::numeric_limits<float>::max()}) {
    const float multiplier = of(Format::kNvfp4, Layout::kModelOpt, amax);
    EXPECT_TRUE(std::isnormal(multiplier * e4m3_decode(kE4m3MinByte))) << amax;
    EXPECT_TRUE(std::isnormal(1.0F / multiplier)) << amax;
  }
}

TEST(AbsmaxScale, MatchesTheWorkedGroups) {
  std::vector<float> w(16, 0.0F);
  w[3] = -.06F;
  const ScaleOptions absmax{ScaleSearch::kAbsmax, {}};
  EXPECT_EQ(search(w, 16, reference::test_scheme(Format::kNvfp4), 12800.0F, absmax).stored[0],
            0x70);
  w[3] = .1F;
  const Found nvfp4 = search(w, 16, reference::test_scheme(Format::kNvfp4), 5376.0F, absmax);
  EXPECT_EQ(nvfp4.stored[0], 0x6B);
  EXPECT_FLOAT_EQ(nvfp4.effective[0], 88.0F / 5376.0F);
  w.resize(32);
  const QuantScheme thirds = *make_scheme(Format::kMxfp4, 0, DType::kBf16, Layout::kFpQuant);
  const Found mxfp4 = search(w, 32, thirds, 3.0F, absmax);
  EXPECT_EQ(mxfp4.stored[0], 123);
  EXPECT_FLOAT_EQ(mxfp4.effective[0], .0208333333F);
  w[3] = .06F;
  EXPECT_EQ(search(w, 32, reference::test_scheme(Format::kMxfp4), 1.0F, absmax).stored[0], 0x79);
}

TEST(AbsmaxScale, Mxfp4IsWhatEnginesChooseForActivations) {
  const std::vector<float> w = heavy_weights(32 * 100, 1);
  const ScaleOptions absmax_search{ScaleSearch::kAbsmax, {}};
  const QuantScheme scheme = reference::test_scheme(Format::kMxfp4);
  const Found whole = search(w, 320, scheme, 1.0F, absmax_search);
  const QuantScheme thirds = *make_scheme(Format::kMxfp4, 0, DType::kBf16, Layout::kFpQuant);
  const Found third = search(w, 320, thirds, 3.0F, absmax_search);
  for (size_t g = 0; g < whole.effective.size(); ++g) {
    const float absmax = largest(w.data() + g * 32, 32);
    EXPECT_GT(7.0F * whole.effective[g], absmax);
    EXPECT_LE(3.5F * whole.effective[g], absmax);
    EXPECT_GT(6.0F * third.effective[g], absmax);
    EXPECT_LE(2.999F * third.effective[g], absmax);
  }
}

TEST(MseScale, Nvfp4IsTheBestByteInItsRange) {
  const std::vector<float> w = heavy_weights(16 * 203, 2);
  const QuantScheme scheme = reference::test_scheme(Format::kNvfp4);
  const float global = nvfp4_global_scale(largest(w.data(), static_cast<int64_t>(w.size())));
  const Found absmax = search(w, 16, scheme, global, {ScaleSearch::kAbsmax, {}});
  const Found mse = search(w, 16, scheme, global, {});
  for (size_t g = 0; g < mse.stored.size(); ++g) {
    const float* group = w.data() + g * 16;
    double best = std::numeric_limits<double>::infinity();
    for (int byte = std::max(1, absmax.stored[g] - 16); byte <= absmax.stored[g]; ++byte) {
      const double scale = static_cast<double>(e4m3_decode(static_cast<uint8_t>(byte)) / global);
      best = std::min(best, group_error(group, nullptr, 16, scale, scheme.format));
    }
    EXPECT_NEAR(
        group_error(group, nullptr, 16, static_cast<double>(mse.effective[g]), scheme.format), best,
        1e-5 * best);
    EXPECT_EQ(mse.effective[g], e4m3_decode(mse.stored[g]) / global);
  }
}

TEST(MseScale, KeepsToTheConventionOfTheLayout) {
  const std::vector<float> w = heavy_weights(32 * 203, 7);
  const float amax = largest(w.data(), static_cast<int64_t>(w.size()));
  const QuantScheme thirds = *make_scheme(Format::kMxfp4, 0, DType::kBf16, Layout::kFpQuant);
  const QuantScheme multiplier = *make_scheme(Format::kNvfp4, 0, DType::kBf16, Layout::kModelOpt);
  for (const QuantScheme& scheme : {thirds, multiplier}) {
    const float global = global_scale_for(scheme, amax);
    const Found mse = search(w, 32, scheme, global, {});
    for (size_t g = 0; g < mse.stored.size(); ++g) {
      const float* group = w.data() + static_cast<int64_t>(g) * scheme.group_size;
      const float absmax = largest(group, scheme.group_size);
      double best = std::numeric_limits<double>::infinity();
      for (int byte = 1; byte < 127; ++byte) {
        const auto stored = static_cast<uint8_t>(byte);
        const float scale = scheme.format == Format::kMxfp4 ? e8m0_decode(stored) / 3.0F
                                                            : e4m3_decode(stored) * global;
        // What clips by a quarter or wastes more than half of its range is not searched.
        if (scale * 6.0F < absmax * 0.27F || scale * 6.0F > absmax * 1.02F) {
          continue;
        }
        best = std::min(best, group_error(group, nullptr, scheme.group_size,
                                          static_cast<double>(scale), scheme.format));
      }
      EXPECT_LE(group_error(group, nullptr, scheme.group_size,
                            static_cast<double>(mse.effective[g]), scheme.format),
                1.00001 * best);
      EXPECT_EQ(mse.effective[g], scheme.format == Format::kMxfp4
                                      ? e8m0_decode(mse.stored[g]) / 3.0F
                                      : e4m3_decode(mse.stored[g]) * global);
    }
  }
}

TEST(MseScale, WeighsColumns) {
  const int64_t cols = 64;
  const std::vector<float> w = heavy_weights(static_cast<size_t>(cols) * 50, 3);
  std::vector<float> weights(static_cast<size_t>(cols));
  for (size_t c = 0; c < weights.size(); ++c) {
    weights[c] = c % 5 == 0 ? 100.0F : 0.1F;
  }
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const QuantScheme scheme = reference::test_scheme(format);
    const auto size = static_cast<size_t>(scheme.group_size);
    const float global = format == Format::kNvfp4 ? 3000.0F : 1.0F;
    const Found plain = search(w, cols, scheme, global, {});
    const Found weighted = search(w, cols, scheme, global, {ScaleSearch::kMse, weights});
    double plain_error = 0.0;
    double weighted_error = 0.0;
    for (size_t g = 0; g < plain.effective.size(); ++g) {
      const float* group = w.data() + g * size;
      const float* d = weights.data() + g * size % weights.size();
      plain_error +=
          group_error(group, d, scheme.group_size, static_cast<double>(plain.effective[g]), format);
      weighted_error += group_error(group, d, scheme.group_size,
                                    static_cast<double>(weighted.effective[g]), format);
    }
    EXPECT_LT(weighted_error, 0.95 * plain_error);
  }
}

TEST(MseScale, IsNeverWorseThanAbsmaxAndStoredInItsDtype) {
  for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF32}) {
    const QuantScheme scheme = *make_scheme(Format::kInt4, 32, dtype);
    const std::vector<float> w = heavy_weights(32 * 101, 4);
    const Found absmax = search(w, 32, scheme, 1.0F, {ScaleSearch::kAbsmax, {}});
    const Found mse = search(w, 32, scheme, 1.0F, {});
    double absmax_error = 0.0;
    double mse_error = 0.0;
    for (size_t g = 0; g < mse.effective.size(); ++g) {
      EXPECT_EQ(decode_scale(dtype, mse.stored.data(), static_cast<int64_t>(g)), mse.effective[g]);
      EXPECT_NEAR(absmax.effective[g], largest(w.data() + g * 32, 32) / 7.5F,
                  absmax.effective[g] * 0.004F);
      absmax_error += group_error(w.data() + g * 32, nullptr, 32,
                                  static_cast<double>(absmax.effective[g]), scheme.format);
      mse_error += group_error(w.data() + g * 32, nullptr, 32,
                               static_cast<double>(mse.effective[g]), scheme.format);
    }
    EXPECT_LT(mse_error, absmax_error);
  }
}

TEST(Scales, OfZerosAndExtremesArePositiveAndFinite) {
  std::vector<QuantScheme> schemes{reference::test_scheme(Format::kNvfp4),
                                   reference::test_scheme(Format::kMxfp4)};
  for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF32}) {
    schemes.push_back(*make_scheme(Format::kInt4, 32, dtype));
  }
  schemes.push_back(*make_scheme(Format::kMxfp4, 0, DType::kBf16, Layout::kFpQuant));
  schemes.push_back(*make_scheme(Format::kNvfp4, 0, DType::kBf16, Layout::kModelOpt));
  for (const QuantScheme& scheme : schemes) {
    for (const float value : {0.0F, 1e-45F, 1e-38F, 1e-30F, 1.0F, 1e30F, 3e38F}) {
      const std::vector<float> w(64, value);
      const float global = global_scale_for(scheme, value);
      for (const ScaleSearch kind : {ScaleSearch::kAbsmax, ScaleSearch::kMse}) {
        const Found found = search(w, 64, scheme, global, {kind, {}});
        for (size_t g = 0; g < found.effective.size(); ++g) {
          const float stored =
              decode_scale(scheme.scale_dtype, found.stored.data(), static_cast<int64_t>(g));
          EXPECT_TRUE(std::isfinite(stored) && stored > 0.0F) << value;
          EXPECT_GT(found.effective[g], 0.0F) << value;
        }
      }
    }
  }
  const std::vector<float> zeros(64, 0.0F);
  EXPECT_EQ(search(zeros, 64, schemes[0], 1.0F, {}).stored[0], 0x01);
  EXPECT_EQ(search(zeros, 64, schemes[1], 1.0F, {}).stored[0], 0x00);
}

TEST(Scales, OfARowDependOnThatRowAlone) {
  const std::vector<float> w = heavy_weights(48 * 37, 5);
  const QuantScheme scheme = reference::test_scheme(Format::kNvfp4);
  const auto pool = make_thread_pool(3);
  const Found whole = search(w, 48, scheme, 2000.0F, {}, *pool);
  for (size_t r = 0; r < 37; ++r) {
    const std::vector<float> row(w.begin() + static_cast<int64_t>(r) * 48,
                                 w.begin() + static_cast<int64_t>(r + 1) * 48);
    const Found one = search(row, 48, scheme, 2000.0F, {});
    EXPECT_EQ(std::memcmp(one.stored.data(), whole.stored.data() + r * 3, 3), 0);
  }
}

TEST(Scales, RefuseBadWeightsAndShapes) {
  std::vector<float> w(64, 1.0F);
  std::vector<uint8_t> stored(4);
  std::vector<float> effective(4);
  SerialParallel serial;
  const QuantScheme scheme = reference::test_scheme(Format::kNvfp4);
  EXPECT_EQ(
      search_scales(w.data(), 2, 30, scheme, 1.0F, {}, stored.data(), effective.data(), serial)
          .reason(),
      "BAD_SHAPE");
  const ScaleOptions short_weights{ScaleSearch::kMse, std::span<const float>(w.data(), 16)};
  EXPECT_EQ(search_scales(w.data(), 2, 32, scheme, 1.0F, short_weights, stored.data(),
                          effective.data(), serial)
                .reason(),
            "BAD_SHAPE");
  w[40] = std::numeric_limits<float>::infinity();
  const Status status =
      search_scales(w.data(), 2, 32, scheme, 1.0F, {}, stored.data(), effective.data(), serial);
  EXPECT_EQ(status.details().at("row"), "1");
  EXPECT_EQ(status.details().at("column"), "8");
}

}  // namespace
}  // namespace rotor
