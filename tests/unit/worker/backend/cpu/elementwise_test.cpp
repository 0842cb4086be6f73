#include "worker/backend/cpu/elementwise.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::expect_close;
using testing::f32_tensor;
using testing::make_tensor;
using testing::poisoned;
using testing::random_values;
using testing::same_for_any_threads;
using testing::values_of;

TEST(ElementwiseTest, RmsNorm) {
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {7, 13}, {90, 1031}}) {
      const std::vector<float> x = random_values(rows * cols, 1);
      std::vector<float> weight = random_values(cols, 2);
      const double eps = 1e-3;
      const std::vector<float> actual =
          same_for_any_threads([&, rows = rows, cols = cols](Backend& backend) {
            const Tensor out = poisoned(backend, rows, cols);
            EXPECT_OK(backend.rms_norm(f32_tensor(backend, rows, cols, x),
                                       make_tensor(backend, dtype, 1, cols, weight), eps, out));
            return values_of(out);
          });
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        double squares = 0.0;
        for (int64_t c = 0; c < cols; ++c) {
          squares += std::pow(static_cast<double>(x[static_cast<size_t>(r * cols + c)]), 2);
        }
        for (int64_t c = 0; c < cols; ++c) {
          expected.push_back(static_cast<double>(x[static_cast<size_t>(r * cols + c)]) /
                             std::sqrt(squares / static_cast<double>(cols) + eps) *
                             static_cast<double>(weight[static_cast<size_t>(c)]));
        }
      }
      expect_close(actual, expected, 1e-5);
    }
  }
}

TEST(ElementwiseTest, RopeStartsAgainWithEverySequenceAndLeavesTheRestOfAHead) {
  const int64_t heads = 3;
  const int64_t dim = 10;
  const int64_t seq_len = 17;
  const int64_t rows = 3 * seq_len;
  for (const int64_t rotary : {10, 6, 2}) {
    const int64_t half = rotary / 2;
    const std::vector<float> x = random_values(rows * heads * dim, 1);
    // The tables are longer than the sequences, as a decoder's are.
    const std::vector<float> angles = random_values(40 * half, 2);
    std::vector<float> cos;
    std::vector<float> sin;
    for (const float angle : angles) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor rotated = f32_tensor(backend, rows, heads * dim, x);
      EXPECT_OK(backend.rope(rotated, {seq_len, dim}, f32_tensor(backend, 40, half, cos),
                             f32_tensor(backend, 40, half, sin)));
      return values_of(rotated);
    });
    std::vector<double> expected;
    for (int64_t i = 0; i < rows * heads * dim; ++i) {
      const int64_t d = i % dim;
      const auto value = static_cast<double>(x[static_cast<size_t>(i)]);
      if (d >= rotary) {
        expected.push_back(value);
        continue;
      }
      const auto angle = static_cast<size_t>(i / (heads * dim) % seq_len * half + d % half);
      const bool low = d < half;
      const auto partner = static_cast<size_t>(low ? i + half : i - half);
      expected.push_back(value * static_cast<double>(cos[angle]) +
                         (low ? -1.0 : 1.0) * static_cast<double>(x[partner]) *
                             static_cast<double>(sin[angle]));
    }
    expect_close(actual, expected, 1e-6);
  }
}

TEST(ElementwiseTest, RopeRotatesNeighboursFromAColumnOn) {
  const int64_t rows = 45;
  const int64_t seq_len = 15;
  const int64_t heads = 3;
  const int64_t dim = 14;
  const int64_t half = 3;
  const std::vector<float> x = random_values(rows * heads * dim, 1);
  const std::vector<float> cos = random_values(20 * half, 2);
  const std::vector<float> sin = random_values(20 * half, 3);
  for (const bool interleaved : {true, false}) {
    const RopeShape shape{seq_len, dim, 6, interleaved};
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor rotated = f32_tensor(backend, rows, heads * dim, x);
      EXPECT_OK(backend.rope(rotated, shape, f32_tensor(backend, 20, half, cos),
                             f32_tensor(backend, 20, half, sin)));
      return values_of(rotated);
    });
    std::vector<double> expected(x.begin(), x.end());
    for (int64_t head = 0; head < rows * heads; ++head) {
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = head * dim + 6;
        const auto low = static_cast<size_t>(first + (interleaved ? 2 * i : i));
        const auto high = static_cast<size_t>(first + (interleaved ? 2 * i + 1 : i + half));
        const auto angle = static_cast<size_t>(head / heads % seq_len * half + i);
        const double c = double{cos[angle]};
        const double s = double{sin[angle]};
        expected[low] = double{x[low]} * c - double{x[high]} * s;
        expected[high] = double{x[high]} * c + double{x[low]} * s;
      }
    }
    expect_close(actual, expected, 1e-6);
  }
}

TEST(ElementwiseTest, RopeStaysWithinAHead) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = f32_tensor(*backend, 2, 8, random_values(16, 1));
  const Tensor table = f32_tensor(*backend, 2, 2, random_values(4, 2));
  EXPECT_OK(backend->rope(x, {2, 8, 4}, table, table));
  EXPECT_EQ(backend->rope(x, {2, 8, 5}, table, table).code(), Code::kInternal);
}

TEST(ElementwiseTest, CopiesColumnsOfEachHead) {
  const int64_t rows = 37;
  const std::vector<float> x = random_values(rows * 21, 1);
  const std::vector<float> before = random_values(rows * 30, 2);
  for (const int64_t step : {7, 0}) {
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor out = f32_tensor(backend, rows, 30, before);
      EXPECT_OK(
          backend.copy_columns(f32_tensor(backend, rows, 21, x), {2, step}, out, {1, 10}, 3, 5));
      return values_of(out);
    });
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < 30; ++c) {
        const int64_t at = c % 10 - 1;
        const bool copied = at >= 0 && at < 5;
        const int64_t from = r * 21 + 2 + c / 10 * step + at;
        ASSERT_EQ(actual[static_cast<size_t>(r * 30 + c)],
                  copied ? x[static_cast<size_t>(from)] : before[static_cast<size_t>(r * 30 + c)])
            << r << " " << c;
      }
    }
  }
  const auto backend = make_cpu_backend(1);
  const Tensor in = f32_tensor(*backend, rows, 21, x);
  const Tensor out = f32_tensor(*backend, rows, 30, before);
  EXPECT_EQ(backend->copy_columns(in, {3, 7}, out, {1, 10}, 3, 5).code(), Code::kInternal);
}

TEST(ElementwiseTest, GatedActivationMayOverwriteItsGate) {
  const int64_t rows = 41;
  const int64_t cols = 1003;
  const std::vector<float> gate = random_values(rows * cols, 1, 4.0F);
  const std::vector<float> up = random_values(rows * cols, 2);
  for (const ActivationKind kind : {ActivationKind::kSilu, ActivationKind::kGeluTanh}) {
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor out = f32_tensor(backend, rows, cols, gate);
      EXPECT_OK(backend.gated_activation({kind}, out, f32_tensor(backend, rows, cols, up), out));
      return values_of(out);
    });
    std::vector<double> expected;
    for (size_t i = 0; i < gate.size(); ++i) {
      const auto g = static_cast<double>(gate[i]);
      const double cubic = std::sqrt(2.0 / M_PI) * (g + 0.044715 * g * g * g);
      const double kept = kind == ActivationKind::kSilu ? 1.0 / (1.0 + std::exp(-g))
                                                        : 0.5 * (1.0 + std::tanh(cubic));
      expected.push_back(g * kept * static_cast<double>(up[i]));
    }
    expect_close(actual, expected, 1e-5);
  }
}

TEST(ElementwiseTest, ClampedSwigluClampsOneSideOfTheGateAndBothOfUp) {
  const int64_t rows = 37;
  const int64_t cols = 1001;
  // Wide enough that every bound is met, on both sides.
  const std::vector<float> gate = random_values(rows * cols, 1, 6.0F);
  const std::vector<float> up = random_values(rows * cols, 2, 6.0F);
  for (const auto& [alpha, limit] : {std::pair{1.702F, 7.0F}, {0.5F, 2.25F}}) {
    const GatedActivation activation{ActivationKind::kClampedSwiglu, alpha, limit};
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor out = f32_tensor(backend, rows, cols, gate);
      EXPECT_OK(
          backend.gated_activation(activation, out, f32_tensor(backend, rows, cols, up), out));
      return values_of(out);
    });
    std::vector<double> expected;
    int clamped[4] = {};
    const auto most = static_cast<double>(limit);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double g = std::min(static_cast<double>(gate[i]), most);
      const double u = std::clamp(static_cast<double>(up[i]), -most, most);
      ++clamped[gate[i] > limit ? 0 : gate[i] < -limit ? 1 : up[i] > limit ? 2 : 3];
      expected.push_back((u + 1.0) * g / (1.0 + std::exp(-static_cast<double>(alpha) * g)));
    }
    EXPECT_GT(*std::min_element(clamped, clamped + 4), 100);
    expect_close(actual, expected, 1e-5);
  }
}

TEST(ElementwiseTest, AddIsInPlace) {
  const auto backend = make_cpu_backend(3);
  const std::vector<float> x = random_values(300 * 301, 1);
  const std::vector<float> y = random_values(300 * 301, 2);
  const Tensor sum = f32_tensor(*backend, 300, 301, x);
  ASSERT_OK(backend->add(sum, f32_tensor(*backend, 300, 301, y), 1.0F));
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(sum.as<float>()[i], x[i] + y[i]);
  }
}

TEST(ElementwiseTest, EmbedTakesRowsOfTheTable) {
  for (const DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    const auto backend = make_cpu_backend(2);
    std::vector<float> table = random_values(9 * 6, 1);
    const Tensor tensor = make_tensor(*backend, dtype, 9, 6, table);
    const std::vector<int32_t> ids{8, 0, 3, 3};
    const Tensor out = poisoned(*backend, 4, 6);
    for (const float scale : {1.0F, 55.5F}) {
      ASSERT_OK(backend->embed(tensor, ids, scale, out));
      for (size_t i = 0; i < 24; ++i) {
        EXPECT_EQ(out.as<float>()[i], table[static_cast<size_t>(ids[i / 6]) * 6 + i % 6] * scale);
      }
    }
    for (const int32_t bad : {-1, 9}) {
      const Status status = backend->embed(tensor, std::vector<int32_t>{0, 0, bad, 0}, 1.0F, out);
      EXPECT_EQ(status.reason(), "BAD_TOKEN_ID");
      EXPECT_NE(status.message().find(std::to_string(bad) + " at position 2"), std::string::npos);
    }
  }
}

TEST(ElementwiseTest, MaxAbsFindsWhatIsNotANumber) {
  const auto backend = make_cpu_backend(2);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x = random_values(200 * 333, 1);
  x[40000] = -123.5F;
  EXPECT_EQ(backend->max_abs(f32_tensor(*backend, 200, 333, x)).value(), 123.5F);
  x[60000] = -kInfinity;
  EXPECT_EQ(backend->max_abs(f32_tensor(*backend, 200, 333, x)).value(), kInfinity);
  x[5] = -kNan;
  EXPECT_TRUE(std::isnan(backend->max_abs(f32_tensor(*backend, 200, 333, x)).value()));
  EXPECT_EQ(backend->max_abs(f32_tensor(*backend, 0, 333, {})).value(), 0.0F);
  std::vector<float> small{0.5F, -2.0F, 1.0F};
  EXPECT_EQ(backend->max_abs(make_tensor(*backend, DType::kBf16, 1, 3, small)).value(), 2.0F);
}

}  // namespace
}  // namespace rotor::worker
