#include "worker/backend/cpu/divergence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::f32_tensor;
using testing::make_tensor;
using testing::random_values;

struct Model {
  int64_t hidden;
  DType dtype;
  double soft_cap;
  std::vector<float> x;
  std::vector<float> head;

  std::vector<double> logits(int64_t row, int64_t vocabulary) const {
    std::vector<double> all;
    for (int64_t v = 0; v < vocabulary; ++v) {
      double logit = 0.0;
      for (int64_t k = 0; k < hidden; ++k) {
        logit += static_cast<double>(x[static_cast<size_t>(row * hidden + k)]) *
                 static_cast<double>(head[static_cast<size_t>(v * hidden + k)]);
      }
      all.push_back(soft_cap > 0.0 ? soft_cap * std::tanh(logit / soft_cap) : logit);
    }
    return all;
  }
};

Logits on(Backend& backend, Model& model, int64_t rows, int64_t vocabulary) {
  return {f32_tensor(backend, rows, model.hidden, model.x),
          make_tensor(backend, model.dtype, vocabulary, model.hidden, model.head), model.soft_cap};
}

double log_sum(const std::vector<double>& logits) {
  double sum = 0.0;
  for (const double logit : logits) {
    sum += std::exp(logit);
  }
  return std::log(sum);
}

Divergence expected(const std::vector<double>& a, const std::vector<double>& b) {
  const double log_a = log_sum(a);
  const double log_b = log_sum(b);
  double kl = 0.0;
  for (size_t v = 0; v < a.size(); ++v) {
    const double log_p = a[v] - log_a;
    kl += std::exp(log_p) * (log_p - (b[v] - log_b));
  }
  return {kl, std::max_element(a.begin(), a.end()) - a.begin() ==
                  std::max_element(b.begin(), b.end()) - b.begin()};
}

TEST(DivergenceTest, MatchesItsFormulaInF64WhateverTheThreads) {
  for (const int64_t vocabulary : {1, 33, 512, 1030}) {
    const int64_t rows = 259;
    Model source{7, DType::kBf16, 0.0, random_values(rows * 7, 1),
                 random_values(vocabulary * 7, 2)};
    Model other{5, DType::kF32, 3.0, random_values(rows * 5, 3), random_values(vocabulary * 5, 4)};
    std::vector<Divergence> first;
    for (const int threads : {1, 3}) {
      const auto backend = make_cpu_backend(threads);
      const auto all = backend->divergences(on(*backend, source, rows, vocabulary),
                                            on(*backend, other, rows, vocabulary));
      ASSERT_OK(all);
      ASSERT_EQ(std::ssize(*all), rows);
      first = first.empty() ? *all : first;
      for (size_t r = 0; r < first.size(); ++r) {
        EXPECT_EQ((*all)[r].kl, first[r].kl);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const Divergence want = expected(source.logits(r, vocabulary), other.logits(r, vocabulary));
      const Divergence& got = first[static_cast<size_t>(r)];
      EXPECT_NEAR(got.kl, want.kl, 2e-6 * std::max(1.0, want.kl)) << vocabulary << " row " << r;
      EXPECT_EQ(got.same_top, want.same_top) << vocabulary << " row " << r;
    }
  }
}

TEST(DivergenceTest, OfAModelFromItselfIsZero) {
  const auto backend = make_cpu_backend(2);
  Model model{6, DType::kF32, 0.0, random_values(20 * 6, 5), random_values(700 * 6, 6)};
  const Logits logits = on(*backend, model, 20, 700);
  const auto all = backend->divergences(logits, logits);
  ASSERT_OK(all);
  for (const Divergence& row : *all) {
    EXPECT_EQ(row.kl, 0.0);
    EXPECT_TRUE(row.same_top);
  }
}

}  // namespace
}  // namespace rotor::worker
