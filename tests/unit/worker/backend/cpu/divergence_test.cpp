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

std::vector<int32_t> some_ids(int64_t rows, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t row = 0; row < rows; ++row) {
    ids.push_back(static_cast<int32_t>(row * 37 % vocabulary));
  }
  return ids;
}

TEST(DivergenceTest, MatchesItsFormulaInF64WhateverTheThreads) {
  constexpr int64_t kSequence = 7;
  for (const int64_t vocabulary : {1, 33, 512, 1030}) {
    const int64_t rows = 37 * kSequence;
    Model source{7, DType::kBf16, 0.0, random_values(rows * 7, 1),
                 random_values(vocabulary * 7, 2)};
    Model other{5, DType::kF32, 3.0, random_values(rows * 5, 3), random_values(vocabulary * 5, 4)};
    const std::vector<int32_t> ids = some_ids(rows, vocabulary);
    std::vector<Divergence> first;
    for (const int threads : {1, 3}) {
      const auto backend = make_cpu_backend(threads);
      const auto all =
          backend->compare_predictions(on(*backend, source, rows, vocabulary),
                                       on(*backend, other, rows, vocabulary), ids, kSequence);
      ASSERT_OK(all);
      ASSERT_EQ(std::ssize(all->divergences), rows - 37);
      first = first.empty() ? all->divergences : first;
      for (size_t r = 0; r < first.size(); ++r) {
        EXPECT_EQ(all->divergences[r].kl, first[r].kl);
      }
    }
    size_t at = 0;
    for (int64_t r = 0; r < rows; ++r) {
      if ((r + 1) % kSequence == 0) {
        continue;
      }
      const Divergence want = expected(source.logits(r, vocabulary), other.logits(r, vocabulary));
      const Divergence& got = first[at++];
      EXPECT_NEAR(got.kl, want.kl, 2e-6 * std::max(1.0, want.kl)) << vocabulary << " row " << r;
      EXPECT_EQ(got.same_top, want.same_top) << vocabulary << " row " << r;
    }
  }
}

TEST(DivergenceTest, GivesEachModelTheLossesThatItHasAlone) {
  const auto backend = make_cpu_backend(2);
  constexpr int64_t kRows = 300;
  constexpr int64_t kVocabulary = 1030;
  Model source{7, DType::kBf16, 0.0, random_values(kRows * 7, 1),
               random_values(kVocabulary * 7, 2)};
  Model other{5, DType::kF32, 3.0, random_values(kRows * 5, 3), random_values(kVocabulary * 5, 4)};
  const std::vector<int32_t> ids = some_ids(kRows, kVocabulary);
  const Logits of_source = on(*backend, source, kRows, kVocabulary);
  const Logits of_other = on(*backend, other, kRows, kVocabulary);
  const auto compared = backend->compare_predictions(of_source, of_other, ids, 50);
  ASSERT_OK(compared);
  const auto alone = [&](const Logits& logits) {
    return backend->next_token_losses(logits.x, logits.head, ids, 50, logits.soft_cap).value();
  };
  EXPECT_EQ(compared->source_losses, alone(of_source));
  EXPECT_EQ(compared->other_losses, alone(of_other));
}

TEST(DivergenceTest, OfAModelFromItselfIsZero) {
  const auto backend = make_cpu_backend(2);
  Model model{6, DType::kF32, 0.0, random_values(20 * 6, 5), random_values(700 * 6, 6)};
  const Logits logits = on(*backend, model, 20, 700);
  const auto all = backend->compare_predictions(logits, logits, some_ids(20, 700), 20);
  ASSERT_OK(all);
  ASSERT_EQ(all->divergences.size(), 19U);
  for (const Divergence& row : all->divergences) {
    EXPECT_EQ(row.kl, 0.0);
    EXPECT_TRUE(row.same_top);
  }
}

}  // namespace
}  // namespace rotor::worker
