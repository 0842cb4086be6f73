#include "kernels/divergence.h"

#include <algorithm>
#include <cmath>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class DivergenceKernel : public CudaTest {
 protected:
  struct Rows {
    std::vector<float> kl;
    std::vector<int32_t> same_top;
  };

  Rows run(const std::vector<float>& source, const std::vector<float>& other, int64_t vocabulary) {
    const auto rows = static_cast<int64_t>(source.size()) / vocabulary;
    const DeviceBuffer a = upload(source);
    const DeviceBuffer b = upload(other);
    const DeviceBuffer kl = poisoned(DType::kF32, rows);
    const DeviceBuffer same_top = poisoned(DType::kI32, rows);
    EXPECT_OK(divergence(a.as<float>(), b.as<float>(), rows, vocabulary, kl.as<float>(),
                         same_top.as<int32_t>(), stream()));
    std::vector<int32_t> tops(static_cast<size_t>(rows));
    EXPECT_OK(same_top.copy_to_host(tops.data(), rows * int64_t{sizeof(int32_t)}, stream()));
    return {download(DType::kF32, rows, kl), tops};
  }
};

double log_sum(const float* logits, int64_t count) {
  const auto most = static_cast<double>(*std::max_element(logits, logits + count));
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    sum += std::exp(static_cast<double>(logits[i]) - most);
  }
  return most + std::log(sum);
}

TEST_F(DivergenceKernel, MatchesItsFormulaInF64) {
  for (const int64_t vocabulary : {1, 2, 31, 255, 257, 2049, 32001, 128256}) {
    const std::vector<float> source = random_values(5 * vocabulary, 5.0F);
    std::vector<float> other = random_values(5 * vocabulary, 1.0F);
    std::transform(other.begin(), other.end(), source.begin(), other.begin(), std::plus<>());
    const Rows got = run(source, other, vocabulary);
    for (int64_t r = 0; r < 5; ++r) {
      const float* a = source.data() + r * vocabulary;
      const float* b = other.data() + r * vocabulary;
      const double log_a = log_sum(a, vocabulary);
      const double log_b = log_sum(b, vocabulary);
      double kl = 0.0;
      for (int64_t v = 0; v < vocabulary; ++v) {
        const double log_p = static_cast<double>(a[v]) - log_a;
        kl += std::exp(log_p) * (log_p - (static_cast<double>(b[v]) - log_b));
      }
      const bool same =
          std::max_element(a, a + vocabulary) - a == std::max_element(b, b + vocabulary) - b;
      EXPECT_NEAR(got.kl[static_cast<size_t>(r)], kl, 2e-5 * std::max(1.0, kl)) << vocabulary;
      EXPECT_EQ(got.same_top[static_cast<size_t>(r)], same ? 1 : 0) << vocabulary;
    }
  }
}

TEST_F(DivergenceKernel, TakesTheFirstOfEqualLogitsAndIsZeroForTheSame) {
  std::vector<float> flat(3 * 1000, 1.0F);
  const Rows same = run(flat, flat, 1000);
  EXPECT_EQ(same.kl, std::vector<float>(3, 0.0F));
  EXPECT_EQ(same.same_top, std::vector<int32_t>(3, 1));
  std::vector<float> raised = flat;
  raised[999] = 1.5F;   // row 0: another top
  raised[1000] = 1.5F;  // row 1: the first, as before
  EXPECT_EQ(run(flat, raised, 1000).same_top, (std::vector<int32_t>{0, 1, 1}));
}

}  // namespace
}  // namespace rotor::kernels
