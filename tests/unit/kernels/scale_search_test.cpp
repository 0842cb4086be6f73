#include "kernels/scale_search.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quant/format/codes.h"
#include "quant/format/rounding.h"
#include "quant/scales/scale_search.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

struct Found {
  std::vector<uint8_t> stored;
  std::vector<float> effective;
};

class ScaleSearchTest : public CudaTest {
 protected:
  Found on_device(const std::vector<float>& w, int64_t rows, int64_t cols,
                  const QuantScheme& scheme, float global, ScaleSearch search,
                  const std::vector<float>& costs) {
    const int64_t scales = rows * (cols / scheme.group_size);
    const DeviceBuffer stored = poisoned(DType::kU8, scales * dtype_size(scheme.scale_dtype));
    const DeviceBuffer effective = poisoned(DType::kF32, scales);
    const DeviceBuffer device_costs = costs.empty() ? DeviceBuffer() : upload(costs);
    EXPECT_OK(kernels::search_scales(upload(w).as<float>(), rows, cols, scheme, global, search,
                                     device_costs.as<float>(), stored.as<uint8_t>(),
                                     effective.as<float>(), stream()));
    Found found;
    found.stored.resize(static_cast<size_t>(scales * dtype_size(scheme.scale_dtype)));
    found.effective.resize(static_cast<size_t>(scales));
    EXPECT_OK(stored.copy_to_host(found.stored.data(), static_cast<int64_t>(found.stored.size()),
                                  stream()));
    EXPECT_OK(
        effective.copy_to_host(found.effective.data(), scales * int64_t{sizeof(float)}, stream()));
    synchronize();
    return found;
  }

  /// Weighted squared error of a group at a scale, in F64.
  static double error_of(const float* w, const float* costs, const QuantScheme& scheme,
                         float scale) {
    double sum = 0.0;
    for (int64_t c = 0; c < scheme.group_size; ++c) {
      const float ratio = w[c] / scale;
      const float rounded = scheme.format == Format::kInt4 ? int4_round(ratio) : e2m1_round(ratio);
      const double error = double{w[c]} - double{rounded} * double{scale};
      sum += (costs == nullptr ? 1.0 : double{costs[c]}) * error * error;
    }
    return sum;
  }

  void check(const QuantScheme& scheme, int64_t rows, int64_t cols, ScaleSearch search,
             bool weighted) {
    std::vector<float> w = random_values(rows * cols, 0.03F);
    std::fill_n(w.begin(), scheme.group_size, 0.0F);  // a group of zeros
    if (rows * cols > 2 * scheme.group_size) {
      w[static_cast<size_t>(scheme.group_size)] = 3.0F;  // an outlier
    }
    std::vector<float> costs = weighted ? random_values(cols) : std::vector<float>();
    for (float& cost : costs) {
      cost = cost * cost + 0.01F;
    }
    const float global = global_scale_for(scheme, 3.0F);
    const Found found = on_device(w, rows, cols, scheme, global, search, costs);
    Found expected = found;
    ASSERT_OK(rotor::search_scales(w.data(), rows, cols, scheme, global, {search, costs},
                                   expected.stored.data(), expected.effective.data(), *pool_));
    const auto bytes = static_cast<size_t>(dtype_size(scheme.scale_dtype));
    for (size_t g = 0; g < found.effective.size(); ++g) {
      float decoded = 0.0F;
      effective_scales(scheme, found.stored.data() + g * bytes, 1, global, &decoded);
      ASSERT_EQ(decoded, found.effective[g]) << "group " << g;
      if (found.effective[g] == expected.effective[g]) {
        continue;
      }
      // Only a tie within rounding may fall the other way.
      ASSERT_EQ(search, ScaleSearch::kMse) << "group " << g;
      const int64_t first = static_cast<int64_t>(g) * scheme.group_size;
      const float* group_costs = costs.empty() ? nullptr : costs.data() + first % cols;
      const double ours = error_of(w.data() + first, group_costs, scheme, found.effective[g]);
      const double best = error_of(w.data() + first, group_costs, scheme, expected.effective[g]);
      ASSERT_NEAR(ours / best, 1.0, 1e-4) << "group " << g;
    }
  }

  std::unique_ptr<Parallel> pool_ = make_thread_pool(4);
};

TEST_F(ScaleSearchTest, FindsWhatTheCpuFinds) {
  for (const ScaleSearch search : {ScaleSearch::kAbsmax, ScaleSearch::kMse}) {
    for (const bool weighted : {false, true}) {
      check({Format::kNvfp4, 16, DType::kF8E4M3}, 1, 16, search, weighted);
      check({Format::kNvfp4, 16, DType::kF8E4M3}, 77, 1040, search, weighted);
      check({Format::kNvfp4, 16, DType::kF8E4M3, GlobalScale::kMultiplier}, 77, 1040, search,
            weighted);
      check({Format::kMxfp4, 32, DType::kU8}, 33, 416, search, weighted);
      check({Format::kMxfp4, 32, DType::kU8, GlobalScale::kThree}, 33, 416, search, weighted);
      for (const int64_t group : {16, 32, 64, 128, 256}) {
        for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF32}) {
          check({Format::kInt4, group, dtype}, 7, 3 * group, search, weighted);
        }
      }
    }
  }
}

TEST_F(ScaleSearchTest, RefusesGroupsThatItDoesNotKnow) {
  const Status status =
      kernels::search_scales(nullptr, 1, 48, {Format::kInt4, 24, DType::kBf16}, 1.0F,
                             ScaleSearch::kMse, nullptr, nullptr, nullptr, stream());
  EXPECT_EQ(status.reason(), "UNSUPPORTED_ON_CUDA");
}

}  // namespace
}  // namespace rotor::kernels
