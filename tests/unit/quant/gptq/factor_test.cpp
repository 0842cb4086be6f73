#include "quant/gptq/factor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/unit/quant/reference/problems.h"

namespace rotor {
namespace {

struct Factored {
  Result<FactorReport> report;
  std::vector<float> upper;
  std::vector<int32_t> order;
  std::vector<uint8_t> dead;
};

Factored factorize(const std::vector<float>& hessian, const FactorSettings& settings,
                   Parallel& parallel) {
  const auto n = static_cast<int64_t>(std::lround(std::sqrt(hessian.size())));
  const auto size = static_cast<size_t>(n);
  Factored f{FactorReport{}, std::vector<float>(size * size), std::vector<int32_t>(size),
             std::vector<uint8_t>(size)};
  f.report = factorize_hessian(hessian.data(), n, settings, f.upper.data(), f.order.data(),
                               f.dead.data(), parallel);
  return f;
}

Factored factorize(const std::vector<float>& hessian, const FactorSettings& settings = {}) {
  SerialParallel serial;
  return factorize(hessian, settings, serial);
}

/// Largest element of |U (P H P^T + damping) U^T - I|.
double distance_from_identity(const std::vector<float>& hessian, const Factored& f) {
  const size_t n = f.order.size();
  double mean = 0.0;
  for (size_t i = 0; i < n; ++i) {
    mean += static_cast<double>(hessian[i * n + i]) / static_cast<double>(n);
  }
  std::vector<double> product(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = i; k < n; ++k) {
      const auto u = static_cast<double>(f.upper[i * n + k]);
      const auto row = static_cast<size_t>(f.order[k]);
      for (size_t j = 0; j < n; ++j) {
        const auto col = static_cast<size_t>(f.order[j]);
        const double damping = j == k ? f.report->damping * mean : 0.0;
        product[i * n + j] += u * (static_cast<double>(hessian[row * n + col]) + damping);
      }
    }
  }
  double worst = 0.0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      double sum = i == j ? -1.0 : 0.0;
      for (size_t k = j; k < n; ++k) {
        sum += product[i * n + k] * static_cast<double>(f.upper[j * n + k]);
      }
      worst = std::max(worst, std::fabs(sum));
    }
  }
  return worst;
}

TEST(Factorize, InvertsTheHessianAtEveryTileShape) {
  for (const int64_t n : {1, 2, 16, 127, 128, 129, 300, 400}) {
    const auto problem = reference::make_layer_problem({1, n, 2 * n, 0, 11});
    const Factored f = factorize(problem.hessian);
    ASSERT_TRUE(f.report.ok());
    EXPECT_EQ(f.report->outcome, FactorOutcome::kGptq);
    EXPECT_EQ(f.report->damping, 0.01);
    EXPECT_LT(distance_from_identity(problem.hessian, f), 2e-3) << n;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      EXPECT_GT(f.upper[i * static_cast<size_t>(n) + i], 0.0F);
      for (size_t j = 0; j < i; ++j) {
        ASSERT_EQ(f.upper[i * static_cast<size_t>(n) + j], 0.0F);
      }
    }
  }
}

TEST(Factorize, OrdersColumnsByDescendingDiagonalAndStable) {
  std::vector<float> hessian(25, 0.0F);
  const float diagonal[] = {2.0F, 5.0F, 2.0F, 0.0F, 7.0F};
  for (size_t i = 0; i < 5; ++i) {
    hessian[i * 6] = diagonal[i];
  }
  EXPECT_EQ(factorize(hessian).order, (std::vector<int32_t>{4, 1, 0, 2, 3}));
  EXPECT_EQ(factorize(hessian, {0.01, false}).order, (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

TEST(Factorize, CutsDeadInputsFromTheOthers) {
  auto problem = reference::make_layer_problem({1, 64, 200, 3, 12});
  // What a rotation's rounding may leave: below zero, and coupled.
  const size_t almost = 40;
  for (size_t j = 0; j < 64; ++j) {
    problem.hessian[almost * 64 + j] = problem.hessian[j * 64 + almost] = 1e-7F;
  }
  problem.hessian[almost * 65] = -1e-7F;
  const Factored f = factorize(problem.hessian);
  ASSERT_TRUE(f.report.ok());
  EXPECT_EQ(f.report->dead_columns, 4);
  EXPECT_EQ(f.dead[almost], 1);
  for (size_t i = 60; i < 64; ++i) {
    EXPECT_EQ(f.dead[static_cast<size_t>(f.order[i])], 1);
    for (size_t j = 0; j < i; ++j) {
      EXPECT_EQ(f.upper[j * 64 + i], 0.0F);
    }
  }
}

TEST(Factorize, FactorsAHessianThatLacksRank) {
  const auto problem = reference::make_layer_problem({1, 200, 20, 0, 13});
  const Factored f = factorize(problem.hessian);
  ASSERT_TRUE(f.report.ok());
  EXPECT_EQ(f.report->outcome, FactorOutcome::kGptq);
  EXPECT_LT(distance_from_identity(problem.hessian, f), 2e-2);
}

TEST(Factorize, ClimbsTheDampingLadderAndReportsIt) {
  const Factored raised = factorize({1.0F, 1.05F, 1.05F, 1.0F});
  ASSERT_TRUE(raised.report.ok());
  EXPECT_EQ(raised.report->outcome, FactorOutcome::kGptq);
  EXPECT_DOUBLE_EQ(raised.report->damping, 0.1);

  const Factored diagonal = factorize({4.0F, 9.0F, 9.0F, 1.0F});
  ASSERT_TRUE(diagonal.report.ok());
  EXPECT_EQ(diagonal.report->outcome, FactorOutcome::kDiagonal);
  EXPECT_EQ(diagonal.report->damping, 0.0);
  EXPECT_EQ(diagonal.upper, (std::vector<float>{0.5F, 0.0F, 0.0F, 1.0F}));

  const Factored failed = factorize(std::vector<float>(16, 0.0F));
  ASSERT_TRUE(failed.report.ok());
  EXPECT_EQ(failed.report->outcome, FactorOutcome::kFailed);
  EXPECT_EQ(failed.report->dead_columns, 4);
}

TEST(Factorize, RefusesWhatIsNoHessian) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Factored bad = factorize({1.0F, 0.0F, nan, 1.0F});
  EXPECT_EQ(bad.report.status().reason(), "NOT_FINITE");
  EXPECT_EQ(bad.report.status().details().at("row"), "1");
  EXPECT_EQ(factorize({1.0F, 0.0F, 0.0F, -1.0F}).report.status().reason(), "BAD_HESSIAN");
  EXPECT_EQ(factorize({1.0F}, {0.0, true}).report.status().reason(), "BAD_DAMPING");
  EXPECT_EQ(factorize({1.0F}, {nan, true}).report.status().reason(), "BAD_DAMPING");
}

TEST(Factorize, WorksAtAnyMagnitude) {
  const auto problem = reference::make_layer_problem({1, 96, 200, 0, 14});
  for (const float magnitude : {1e-20F, 1e20F}) {
    std::vector<float> hessian = problem.hessian;
    for (float& value : hessian) {
      value *= magnitude;
    }
    const Factored f = factorize(hessian);
    ASSERT_TRUE(f.report.ok());
    EXPECT_EQ(f.report->damping, 0.01);
    EXPECT_LT(distance_from_identity(hessian, f), 2e-3);
  }
}

TEST(SolveCosts, AreTheInverseDiagonalOfTheInverseLeftToSolve) {
  // Two coupled inputs, the first quantized first: 1 - 0.6^2 of it cannot be made up for, and all
  // of the last one.
  const std::vector<float> hessian{1.0F, 0.6F, 0.6F, 1.0F};
  const Factored f = factorize(hessian, {1e-6, true});
  std::vector<float> costs(2);
  solve_costs(f.upper.data(), f.order.data(), 2, costs.data());
  EXPECT_NEAR(costs[0], 0.64F, 1e-4F);
  EXPECT_NEAR(costs[1], 1.0F, 1e-4F);
}

TEST(Factorize, BitsDoNotDependOnThreads) {
  const auto problem = reference::make_layer_problem({1, 500, 600, 2, 15});
  const Factored serial = factorize(problem.hessian);
  const auto pool = make_thread_pool(4);
  const Factored pooled = factorize(problem.hessian, {}, *pool);
  EXPECT_EQ(serial.upper, pooled.upper);
  EXPECT_EQ(serial.order, pooled.order);
}

}  // namespace
}  // namespace rotor
