#include "kernels/routing.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class RoutingKernels : public CudaTest {
 protected:
  struct Chosen {
    std::vector<int32_t> experts;
    DeviceBuffer weights;
  };

  Chosen choose(const DeviceBuffer& logits, int64_t tokens, const ExpertChoice& choice) {
    const int64_t count = tokens * choice.per_token;
    const DeviceBuffer experts = poisoned(DType::kF32, count);
    Chosen chosen{std::vector<int32_t>(static_cast<size_t>(count)), poisoned(DType::kF32, count)};
    EXPECT_OK(choose_experts(logits.as<float>(), tokens, choice, experts.as<int32_t>(),
                             chosen.weights.as<float>(), stream()));
    EXPECT_OK(
        experts.copy_to_host(chosen.experts.data(), count * int64_t{sizeof(int32_t)}, stream()));
    synchronize();
    return chosen;
  }

  /// Every token's experts and weights against a full sort and a softmax in F64.
  void check_choice(const std::vector<float>& logits, int64_t tokens, const ExpertChoice& choice) {
    SCOPED_TRACE(::testing::Message()
                 << tokens << " tokens, " << choice.per_token << " of " << choice.experts);
    const auto [got, weights] = choose(upload(logits), tokens, choice);
    std::vector<double> wanted;
    for (int64_t t = 0; t < tokens; ++t) {
      const float* row = logits.data() + t * choice.experts;
      std::vector<int32_t> order(static_cast<size_t>(choice.experts));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int32_t a, int32_t b) { return row[a] > row[b]; });
      order.resize(static_cast<size_t>(choice.per_token));
      std::sort(order.begin(), order.end());
      const auto first = got.begin() + t * choice.per_token;
      ASSERT_EQ(std::vector<int32_t>(first, first + choice.per_token), order) << "token " << t;
      double sum = 0.0;
      for (int64_t e = 0; e < choice.experts; ++e) {
        const bool counts = !choice.normalize || std::binary_search(order.begin(), order.end(), e);
        sum += counts ? std::exp(static_cast<double>(row[e])) : 0.0;
      }
      for (const int32_t expert : order) {
        wanted.push_back(std::exp(static_cast<double>(row[expert])) / sum);
      }
    }
    expect_near(wanted, std::vector<double>(wanted.size(), 1e-5), choice.per_token, DType::kF32,
                weights);
  }

  /// The `count` largest, of equal ones the first, ascending. `margin`: how far the last of them is
  /// above the first that is not.
  static std::vector<int32_t> largest(const std::vector<double>& values, int64_t count,
                                      double* margin) {
    std::vector<int32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    const auto value = [&](size_t place) { return values[static_cast<size_t>(order[place])]; };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
    });
    const auto kept = static_cast<size_t>(count);
    if (kept < order.size()) {
      *margin = std::min(*margin, value(kept - 1) - value(kept));
    }
    order.resize(kept);
    std::sort(order.begin(), order.end());
    return order;
  }

  /// Sigmoids, corrected and in groups, against F64. Where F64 sees less than 1e-5 between what is
  /// chosen and what is not, F32 may choose otherwise, and the token is passed over.
  void check_groups(ExpertChoice choice) {
    SCOPED_TRACE(::testing::Message() << choice.per_token << " of " << choice.experts << " in "
                                      << choice.groups_chosen << " of " << choice.groups);
    const int64_t tokens = 97;
    const auto experts = static_cast<size_t>(choice.experts);
    const std::vector<float> logits = random_values(tokens * choice.experts, 2.0F);
    const std::vector<float> correction = random_values(choice.experts, 0.3F);
    const DeviceBuffer added = upload(correction);
    choice.correction = added.as<float>();
    const auto [got, weights] = choose(upload(logits), tokens, choice);
    const std::vector<float> weighed = download(DType::kF32, tokens * choice.per_token, weights);
    const size_t size = experts / static_cast<size_t>(choice.groups);
    int64_t checked = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> scores;
      std::vector<double> keys;
      std::vector<double> groups;
      for (size_t e = 0; e < experts; ++e) {
        const auto logit = static_cast<double>(logits[static_cast<size_t>(t) * experts + e]);
        scores.push_back(1.0 / (1.0 + std::exp(-logit)));
        keys.push_back(scores.back() + static_cast<double>(correction[e]));
      }
      for (size_t begin = 0; begin < experts; begin += size) {
        std::vector<double> of_group(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                                     keys.begin() + static_cast<std::ptrdiff_t>(begin + size));
        std::sort(of_group.rbegin(), of_group.rend());
        groups.push_back(of_group[0] + of_group[1]);
      }
      double margin = 1.0;
      const std::vector<int32_t> best_groups = largest(groups, choice.groups_chosen, &margin);
      for (size_t e = 0; e < experts; ++e) {
        const auto group = static_cast<int32_t>(e / size);
        if (!std::binary_search(best_groups.begin(), best_groups.end(), group)) {
          keys[e] = -1e9;
        }
      }
      const std::vector<int32_t> best = largest(keys, choice.per_token, &margin);
      if (margin < 1e-5) {
        continue;
      }
      ++checked;
      double sum = 0.0;
      for (const int32_t expert : best) {
        sum += scores[static_cast<size_t>(expert)];
      }
      for (size_t k = 0; k < best.size(); ++k) {
        const size_t at = static_cast<size_t>(t) * best.size() + k;
        ASSERT_EQ(got[at], best[k]) << "token " << t;
        const double share = scores[static_cast<size_t>(best[k])] / (choice.normalize ? sum : 1.0);
        ASSERT_NEAR(static_cast<double>(weighed[at]), share * static_cast<double>(choice.scale),
                    1e-5)
            << "token " << t;
      }
    }
    EXPECT_GT(checked, tokens / 2);
  }
};

TEST_F(RoutingKernels, ChooseInTheBestGroupsByCorrectedSigmoids) {
  ExpertChoice choice{.experts = 256,
                      .per_token = 8,
                      .normalize = true,
                      .sigmoid = true,
                      .groups = 8,
                      .groups_chosen = 4,
                      .scale = 2.5F};
  check_groups(choice);
  choice.normalize = false;
  check_groups(choice);
  check_groups({8, 3, true, true, 4, 2, 1.0F});
  check_groups({384, 8, true, true, 1, 1, 2.827F});
  check_groups({64, 32, true, true, 32, 16, 0.5F});
  check_groups({6, 2, false, true, 3, 1, 1.0F});
}

TEST_F(RoutingKernels, ChooseTheLargestLogits) {
  for (const bool normalize : {false, true}) {
    for (const int64_t experts : {1, 4, 8, 31, 64, 128, 257}) {
      for (const int64_t per_token : {1, 2, 8, 32}) {
        if (per_token <= experts) {
          check_choice(random_values(97 * experts), 97, {experts, per_token, normalize});
        }
      }
    }
  }
}

TEST_F(RoutingKernels, ChooseTheLowerOfEqualExperts) {
  std::vector<float> logits(5 * 40, 1.0F);
  logits[3] = 2.0F;
  check_choice(logits, 5, {40, 6, true});
}

TEST_F(RoutingKernels, ChooseDifferentExpertsWhateverTheLogitsAre) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits{nan,      nan,      nan,      nan,        //
                                  1.0F,     nan,      infinity, -infinity,  //
                                  infinity, infinity, infinity, nan};
  const DeviceBuffer rows = upload(logits);
  const DeviceBuffer chosen = poisoned(DType::kF32, 9);
  const DeviceBuffer weights = poisoned(DType::kF32, 9);
  ASSERT_OK(choose_experts(rows.as<float>(), 3, {4, 3, true}, chosen.as<int32_t>(),
                           weights.as<float>(), stream()));
  std::vector<int32_t> got(9);
  ASSERT_OK(chosen.copy_to_host(got.data(), 36, stream()));
  synchronize();
  EXPECT_EQ(got, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
}

TEST_F(RoutingKernels, AddWhatComesBackFromTheExperts) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t cols : {1, 7, 64, 264, 4096}) {
      for (const int64_t per_token : {1, 3}) {
        SCOPED_TRACE(::testing::Message()
                     << dtype_name(dtype) << ", " << cols << " columns, " << per_token);
        const int64_t tokens = 11;
        std::vector<float> x = random_values(tokens * cols);
        std::vector<float> y = random_values(tokens * per_token * cols);
        const std::vector<float> weights = random_values(tokens * per_token);
        std::vector<int32_t> places(static_cast<size_t>(tokens * per_token));
        std::iota(places.begin(), places.end(), 0);
        std::shuffle(places.begin(), places.end(), generator());
        const DeviceBuffer sums = upload_guarded(dtype, x);
        const DeviceBuffer from = upload_as(dtype, y);
        ASSERT_OK(add_routed(sums.data(), from.data(), dtype, tokens, cols,
                             upload(places).as<int32_t>(), upload(weights).as<float>(), per_token,
                             stream()));
        std::vector<float> expected = x;
        for (size_t i = 0; i < places.size(); ++i) {
          for (int64_t c = 0; c < cols; ++c) {
            float& sum = expected[i / static_cast<size_t>(per_token) * static_cast<size_t>(cols) +
                                  static_cast<size_t>(c)];
            sum = std::fma(weights[i], y[static_cast<size_t>(places[i] * cols + c)], sum);
          }
        }
        expect_values(expected, cols, dtype, sums);
      }
    }
  }
}

TEST(RoutingArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  alignas(16) int32_t ids[8] = {};
  EXPECT_FAILS(choose_experts(x, 1, {64, 33, false}, ids, x, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "33 experts");
  EXPECT_FAILS(choose_experts(x, 1, {2, 3, false}, ids, x, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "3 among 2");
  EXPECT_FAILS(choose_experts(x, 1, {8, 2, false, true, 3, 1}, ids, x, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "1 of 3 groups");
  EXPECT_FAILS(choose_experts(x, 1, {8, 3, false, true, 4, 1}, ids, x, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "1 of 4 groups");
  EXPECT_FAILS(choose_experts(x, 1, {8, 2, false, false, 4, 2}, ids, x, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "2 of 4 groups");
  EXPECT_FAILS(choose_experts(x, 1, {128, 2, false, true, 64, 2}, ids, x, nullptr),
               Code::kUnimplemented, "UNSUPPORTED_ON_CUDA", "64 groups");
  EXPECT_FAILS(choose_experts(nullptr, 1, {4, 2, false}, ids, x, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "logits is null");
  EXPECT_OK(choose_experts(nullptr, 0, {4, 2, false}, ids, x, nullptr));
  EXPECT_FAILS(add_routed(x, x, DType::kF16, 1, 8, ids, x, 2, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "x of F16");
  EXPECT_FAILS(add_routed(x, x, DType::kF32, 1, 8, ids, x, 0, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "0 experts");
  EXPECT_OK(add_routed(nullptr, nullptr, DType::kF32, 0, 8, ids, x, 2, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
