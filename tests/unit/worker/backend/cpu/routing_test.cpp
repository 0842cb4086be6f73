// Routing on the CPU backend, against a full sort and a softmax in F64.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using namespace testing;

std::vector<int32_t> ids_of(const Tensor& tensor) {
  return {tensor.as<int32_t>(), tensor.as<int32_t>() + tensor.size()};
}

/// The experts of a row of logits, ascending.
std::vector<int32_t> best_of(const std::vector<double>& logits, int64_t count) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

class RoutingTest : public ::testing::TestWithParam<RoutingRule> {
 protected:
  /// `bias` may be empty.
  static void check(const RoutingRule& rule, std::vector<float> bias);
};

void RoutingTest::check(const RoutingRule& rule, std::vector<float> bias) {
  const int64_t tokens = 301;
  const int64_t width = 24;
  const auto backend = make_cpu_backend(2);
  const std::vector<float> x = random_values(tokens * width, 1);
  std::vector<float> router = random_values(rule.experts * width, 2, 0.3F);
  const Tensor weight = make_tensor(*backend, DType::kBf16, rule.experts, width, router);
  const Tensor offset =
      bias.empty() ? Tensor() : make_tensor(*backend, DType::kBf16, 1, rule.experts, bias);
  const auto routing =
      backend->route(f32_tensor(*backend, tokens, width, x), {weight, offset, {}}, rule);
  ASSERT_OK(routing);
  const std::vector<int32_t> places = ids_of(routing->places);
  const std::vector<int32_t> token_of = ids_of(routing->tokens);
  const std::vector<float> weights = values_of(routing->weights);
  ASSERT_EQ(std::ssize(routing->begin), rule.experts + 1);
  EXPECT_EQ(routing->begin.back(), tokens * rule.per_token);

  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<double> logits(static_cast<size_t>(rule.experts));
    for (int64_t e = 0; e < rule.experts; ++e) {
      if (!bias.empty()) {
        logits[static_cast<size_t>(e)] = double{bias[static_cast<size_t>(e)]};
      }
      for (int64_t c = 0; c < width; ++c) {
        logits[static_cast<size_t>(e)] += double{x[static_cast<size_t>(t * width + c)]} *
                                          double{router[static_cast<size_t>(e * width + c)]};
      }
    }
    const std::vector<int32_t> best = best_of(logits, rule.per_token);
    double sum = 0.0;
    for (int64_t e = 0; e < rule.experts; ++e) {
      const bool counts = !rule.normalize || std::binary_search(best.begin(), best.end(), e);
      sum += counts ? std::exp(logits[static_cast<size_t>(e)]) : 0.0;
    }
    for (int64_t k = 0; k < rule.per_token; ++k) {
      const auto at = static_cast<size_t>(t * rule.per_token + k);
      const auto expert = static_cast<size_t>(best[static_cast<size_t>(k)]);
      ASSERT_GE(places[at], routing->begin[expert]) << "token " << t;
      ASSERT_LT(places[at], routing->begin[expert + 1]) << "token " << t;
      ASSERT_EQ(token_of[static_cast<size_t>(places[at])], t);
      ASSERT_NEAR(weights[at], std::exp(logits[expert]) / sum, 1e-5) << "token " << t;
    }
  }
  for (int64_t e = 0; e < rule.experts; ++e) {
    const auto begin = token_of.begin() + routing->begin[static_cast<size_t>(e)];
    EXPECT_TRUE(std::is_sorted(begin, begin + routing->rows(e))) << "expert " << e;
  }
}

TEST_P(RoutingTest, EveryTokenGoesToItsBestExpertsWithTheirSoftmax) {
  check(GetParam(), {});
}

TEST_P(RoutingTest, ABiasTakesPartInChoiceAndWeights) {
  check(GetParam(), random_values(GetParam().experts, 3, 2.0F));
}

INSTANTIATE_TEST_SUITE_P(Rules, RoutingTest,
                         ::testing::Values(RoutingRule{4, 1, false}, RoutingRule{16, 4, true},
                                           RoutingRule{16, 4, false}, RoutingRule{8, 2, true},
                                           RoutingRule{130, 8, true}, RoutingRule{3, 3, false}));

/// Sigmoid scores with corrections and groups, token by token in F64.
class GroupedRoutingTest : public ::testing::TestWithParam<RoutingRule> {};

TEST_P(GroupedRoutingTest, ChoosesInTheBestGroupsAndWeighsWithoutTheCorrections) {
  const RoutingRule rule = GetParam();
  const int64_t tokens = 203;
  const auto experts = static_cast<size_t>(rule.experts);
  const auto backend = make_cpu_backend(2);
  // The router is the identity: logits are x itself.
  const std::vector<float> x = random_values(tokens * rule.experts, 11, 2.0F);
  std::vector<float> identity(experts * experts, 0.0F);
  for (size_t e = 0; e < experts; ++e) {
    identity[e * (experts + 1)] = 1.0F;
  }
  const std::vector<float> correction = random_values(rule.experts, 12, 0.3F);
  const RouterWeights router{f32_tensor(*backend, rule.experts, rule.experts, identity),
                             {},
                             f32_tensor(*backend, 1, rule.experts, correction)};
  const auto routing = backend->route(f32_tensor(*backend, tokens, rule.experts, x), router, rule);
  ASSERT_OK(routing);
  const std::vector<int32_t> places = ids_of(routing->places);
  const std::vector<float> weights = values_of(routing->weights);
  const size_t size = experts / static_cast<size_t>(rule.groups);
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<double> scores;
    std::vector<double> keys;
    for (size_t e = 0; e < experts; ++e) {
      const double logit = double{x[static_cast<size_t>(t) * experts + e]};
      scores.push_back(1.0 / (1.0 + std::exp(-logit)));
      keys.push_back(scores.back() + double{correction[e]});
    }
    std::vector<double> groups;
    for (size_t g = 0; g < static_cast<size_t>(rule.groups); ++g) {
      std::vector<double> of_group(keys.begin() + static_cast<std::ptrdiff_t>(g * size),
                                   keys.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
      std::sort(of_group.rbegin(), of_group.rend());
      groups.push_back(of_group[0] + of_group[1]);
    }
    const std::vector<int32_t> chosen = best_of(groups, rule.groups_chosen);
    for (size_t e = 0; e < experts; ++e) {
      if (!std::binary_search(chosen.begin(), chosen.end(), static_cast<int32_t>(e / size))) {
        keys[e] = -1e9;
      }
    }
    const std::vector<int32_t> best = best_of(keys, rule.per_token);
    double sum = 0.0;
    for (const int32_t expert : best) {
      sum += scores[static_cast<size_t>(expert)];
    }
    for (int64_t k = 0; k < rule.per_token; ++k) {
      const auto at = static_cast<size_t>(t * rule.per_token + k);
      const auto expert = static_cast<size_t>(best[static_cast<size_t>(k)]);
      ASSERT_GE(places[at], routing->begin[expert]) << "token " << t;
      ASSERT_LT(places[at], routing->begin[expert + 1]) << "token " << t;
      const double share = rule.normalize ? scores[expert] / sum : scores[expert];
      ASSERT_NEAR(weights[at], share * double{rule.scale}, 1e-5) << "token " << t;
    }
  }
}

RoutingRule grouped(int64_t experts, int64_t per_token, bool normalize, int64_t groups,
                    int64_t chosen, float scale) {
  return {experts, per_token, normalize, ScoreRule::kSigmoid, true, groups, chosen, scale};
}

INSTANTIATE_TEST_SUITE_P(Rules, GroupedRoutingTest,
                         ::testing::Values(grouped(256, 8, true, 8, 4, 2.5F),
                                           grouped(8, 3, false, 4, 2, 1.0F),
                                           grouped(12, 4, true, 1, 1, 0.5F),
                                           grouped(6, 2, true, 3, 1, 1.0F)));

TEST(Routing, OfEqualGroupsTheLowerIsChosen) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = f32_tensor(*backend, 1, 4, {0, 0, 0, 0});
  const RouterWeights router{f32_tensor(*backend, 8, 4, std::vector<float>(32, 0.0F)),
                             {},
                             f32_tensor(*backend, 1, 8, {0, 0, 1, 0, 0.5, 0.5, 0, 1})};
  // Each group is worth 1 beside its scores, but for the first.
  const auto routing = backend->route(x, router, grouped(8, 3, true, 4, 2, 1.0F));
  ASSERT_OK(routing);
  EXPECT_EQ(routing->begin, (std::vector<int64_t>{0, 0, 0, 1, 1, 2, 3, 3, 3}));
}

TEST(Routing, ACorrectionThatTheRuleDoesNotAskForIsAMistake) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = f32_tensor(*backend, 1, 4, {0, 0, 0, 0});
  const Tensor weight = f32_tensor(*backend, 8, 4, std::vector<float>(32, 0.0F));
  const Tensor correction = f32_tensor(*backend, 1, 8, std::vector<float>(8, 0.0F));
  EXPECT_EQ(backend->route(x, {weight, {}, correction}, {8, 2, true}).status().code(),
            Code::kInternal);
  EXPECT_EQ(backend->route(x, {weight, {}, {}}, grouped(8, 3, true, 4, 2, 1.0F)).status().code(),
            Code::kInternal);
}

TEST(Routing, OfEqualLogitsTheLowerExpertIsChosen) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = f32_tensor(*backend, 2, 4, {1, 0, 0, 0, 0, 0, 0, 0});
  std::vector<float> router(5 * 4, 0.0F);
  router[3 * 4] = 1.0F;
  const auto routing =
      backend->route(x, {f32_tensor(*backend, 5, 4, router), {}, {}}, {5, 2, true});
  ASSERT_OK(routing);
  EXPECT_EQ(ids_of(routing->tokens), (std::vector<int32_t>{0, 1, 1, 0}));
  EXPECT_EQ(routing->begin, (std::vector<int64_t>{0, 2, 3, 3, 4, 4}));
}

TEST(Routing, OfWhatIsNoNumberSomeExpertsAreChosen) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = poisoned(*backend, 3, 4);
  const auto routing =
      backend->route(x, {f32_tensor(*backend, 5, 4, random_values(20, 3)), {}, {}}, {5, 2, true});
  ASSERT_OK(routing);
  EXPECT_EQ(routing->begin, (std::vector<int64_t>{0, 3, 6, 6, 6, 6}));
}

TEST(Routing, RowsGoToTheExpertsAndComeBackWeighted) {
  const int64_t tokens = 700;
  const int64_t width = 96;
  const RoutingRule rule{12, 3, true};
  const auto there_and_back = [&](Backend& backend) {
    const Tensor x = f32_tensor(backend, tokens, width, random_values(tokens * width, 4));
    const Tensor router = f32_tensor(backend, 12, width, random_values(12 * width, 5));
    const Routing routing = backend.route(x, {router, {}, {}}, rule).value();
    const Tensor rows = poisoned(backend, tokens * 3, width);
    EXPECT_OK(backend.gather_rows(x, routing.tokens, rows));
    const Tensor sum = f32_tensor(backend, tokens, width, random_values(tokens * width, 6));
    EXPECT_OK(backend.add_routed(sum, rows, routing));
    return values_of(sum);
  };
  // A token's weights add up to 1, so the sum is that with x itself.
  const std::vector<float> x = random_values(tokens * width, 4);
  std::vector<float> expected = random_values(tokens * width, 6);
  std::transform(expected.begin(), expected.end(), x.begin(), expected.begin(), std::plus());
  expect_close(same_for_any_threads(there_and_back), {expected.begin(), expected.end()}, 1e-5);
}

TEST(BackendForEach, RunsEveryPieceOnceAndTellsTheFirstError) {
  for (const int threads : {1, 3}) {
    const auto backend = make_cpu_backend(threads);
    std::vector<std::atomic<int>> runs(50);
    const Tensor ones = f32_tensor(*backend, 1, 8, std::vector<float>(8, 1.0F));
    const Tensor sums = f32_tensor(*backend, 50, 8, std::vector<float>(400, 2.0F));
    ASSERT_OK(backend->for_each(50, [&](Backend& mine, int64_t i) {
      ++runs[static_cast<size_t>(i)];
      return mine.add(sums.row_range(i, 1), ones, 1.0F);
    }));
    for (const auto& count : runs) {
      EXPECT_EQ(count, 1);
    }
    EXPECT_EQ(values_of(sums), std::vector<float>(400, 3.0F));
    const Status failed = backend->for_each(50, [](Backend&, int64_t i) -> Status {
      return i % 10 == 7 ? internal_error("piece " + std::to_string(i)) : Status();
    });
    EXPECT_EQ(failed.message(), "piece 7");
    EXPECT_OK(backend->for_each(0, [](Backend&, int64_t) { return internal_error("none"); }));
  }
}

}  // namespace
}  // namespace rotor::worker
