#include "kernels/attention.h"

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

AttentionProblem problem_of(int64_t sequences, int64_t seq_len, int64_t heads, int64_t kv_heads,
                            int64_t head_dim, int64_t window = 0, float soft_cap = 0.0F) {
  return {.sequences = sequences,
          .seq_len = seq_len,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(head_dim)),
          .sliding_window = window,
          .soft_cap = soft_cap};
}

int64_t values_of(const AttentionProblem& problem) {
  return problem.value_dim > 0 ? problem.value_dim : problem.head_dim;
}

struct Inputs {
  std::vector<float> q;
  std::vector<float> k;
  std::vector<float> v;
  std::vector<float> sinks = {};  // F32; empty: none
};

class Attention : public CudaTest {
 protected:
  static int64_t rows_of(const AttentionProblem& problem) {
    return problem.sequences * problem.seq_len;
  }

  Inputs random_inputs(const AttentionProblem& problem, float deviation = 1.0F) {
    const int64_t rows = rows_of(problem);
    return {random_values(rows * problem.heads * problem.head_dim, deviation),
            random_values(rows * problem.kv_heads * problem.head_dim, deviation),
            random_values(rows * problem.kv_heads * values_of(problem))};
  }

  /// Rounds the inputs to BF16 in place.
  DeviceBuffer run(const AttentionProblem& problem, Inputs& inputs) {
    const DeviceBuffer q = upload_as(DType::kBf16, inputs.q);
    const DeviceBuffer k = upload_as(DType::kBf16, inputs.k);
    const DeviceBuffer v = upload_as(DType::kBf16, inputs.v);
    DeviceBuffer out =
        poisoned(DType::kBf16, rows_of(problem) * problem.heads * values_of(problem));
    AttentionProblem with_sinks = problem;
    DeviceBuffer sinks;
    if (!inputs.sinks.empty()) {
      sinks = upload(inputs.sinks);
      with_sinks.sinks = sinks.as<float>();
    }
    EXPECT_OK(causal_attention(with_sinks, q.data(), k.data(), v.data(), out.data(), stream()));
    synchronize();
    return out;
  }

  /// `exact`: F32 holds every score as it is.
  void check(const AttentionProblem& problem, Inputs inputs, bool exact = false) {
    SCOPED_TRACE(::testing::Message()
                 << problem.sequences << " sequences of " << problem.seq_len << ", "
                 << problem.heads << " heads on " << problem.kv_heads << " of " << problem.head_dim
                 << " and " << values_of(problem) << ", window " << problem.sliding_window
                 << ", cap " << problem.soft_cap);
    const DeviceBuffer out = run(problem, inputs);
    const int64_t cols = problem.heads * values_of(problem);
    std::vector<double> wanted(static_cast<size_t>(rows_of(problem) * cols));
    std::vector<double> bounds(wanted.size());
    for (int64_t row = 0; row < rows_of(problem); ++row) {
      for (int64_t head = 0; head < problem.heads; ++head) {
        attend(problem, inputs, row, head, exact, wanted, bounds);
      }
    }
    expect_near(wanted, bounds, cols, DType::kBf16, out);
  }

 private:
  /// One query in F64. With weights w, and A = sum w |v|: rounding a weight to BF16 moves it by
  /// 2^-8 of itself at most, so the output by 2^-8 A, and rounding that is 2^-8 of itself. A score
  /// summed in F32 is off by head_dim 2^-23 sum |q k| at most, and e^score by as much of itself,
  /// above and below the fraction; a soft cap adds 2^-19 of itself, and moves a score less than it
  /// was moved before. F32 sums over keys, and exponentials to 2^-21, stay below
  /// 2^-12 A.
  static void attend(const AttentionProblem& problem, const Inputs& inputs, int64_t row,
                     int64_t head, bool exact, std::vector<double>& wanted,
                     std::vector<double>& bounds) {
    const int64_t dim = problem.head_dim;
    const auto cap = static_cast<double>(problem.soft_cap);
    const int64_t kv_head = head / (problem.heads / problem.kv_heads);
    const int64_t start = row / problem.seq_len * problem.seq_len;
    const int64_t window = problem.sliding_window > 0 ? problem.sliding_window : problem.seq_len;
    const int64_t oldest = std::max(start, row - window + 1);
    const int64_t values = values_of(problem);
    const auto key_at = [&](int64_t key) { return (key * problem.kv_heads + kv_head) * dim; };
    const auto value_at = [&](int64_t key) { return (key * problem.kv_heads + kv_head) * values; };
    const float* q = inputs.q.data() + (row * problem.heads + head) * dim;
    std::vector<double> weights;
    double most = -std::numeric_limits<double>::infinity();
    double magnitude = 0.0;
    for (int64_t key = oldest; key <= row; ++key) {
      double score = 0.0;
      double size = 0.0;
      for (int64_t d = 0; d < dim; ++d) {
        const double product = static_cast<double>(q[d]) *
                               static_cast<double>(inputs.k[static_cast<size_t>(key_at(key) + d)]);
        score += product;
        size += std::abs(product);
      }
      const double scaled = score * static_cast<double>(problem.scale);
      weights.push_back(cap > 0.0 ? cap * std::tanh(scaled / cap) : scaled);
      most = std::max(most, weights.back());
      magnitude = std::max(magnitude, size * static_cast<double>(problem.scale));
    }
    double sum = 0.0;
    if (!inputs.sinks.empty()) {
      // Off by a rounding of itself, and of its difference to a score, before the exponential.
      const auto sink = static_cast<double>(inputs.sinks[static_cast<size_t>(head)]);
      most = std::max(most, sink);
      magnitude = std::max(magnitude, std::abs(sink));
      sum = std::exp(sink - most);
    }
    for (double& weight : weights) {
      weight = std::exp(weight - most);
      sum += weight;
    }
    const double off =
        exact ? 0.0 : 2.0 * (static_cast<double>(dim) * 0x1p-23 * magnitude + cap * 0x1p-19);
    for (int64_t d = 0; d < values; ++d) {
      double value = 0.0;
      double size = 0.0;
      for (int64_t key = oldest; key <= row; ++key) {
        const auto v = static_cast<double>(inputs.v[static_cast<size_t>(value_at(key) + d)]);
        value += weights[static_cast<size_t>(key - oldest)] / sum * v;
        size += weights[static_cast<size_t>(key - oldest)] / sum * std::abs(v);
      }
      const auto at = static_cast<size_t>((row * problem.heads + head) * values + d);
      wanted[at] = value;
      bounds[at] = 0x1p-8 * std::abs(value) + (0x1p-8 + 0x1p-12 + off) * size;
    }
  }
};

TEST_F(Attention, IsTrueForEveryHeadDimLengthAndWindow) {
  for (const int64_t dim : {16, 48, 64, 80, 96, 128, 144, 256}) {
    for (const int64_t seq_len : {1, 2, 63, 64, 65, 127, 128, 129, 300}) {
      for (const int64_t window : {0, 1, 17, 64}) {
        const AttentionProblem problem = problem_of(2, seq_len, 2, 1, dim, window);
        check(problem, random_inputs(problem));
      }
    }
  }
}

TEST_F(Attention, TakesValuesNarrowerThanKeys) {
  for (const auto& [dim, values] :
       {std::pair{192, 128}, {192, 16}, {48, 32}, {64, 48}, {128, 64}, {256, 240}}) {
    for (const int64_t seq_len : {1, 65, 300}) {
      for (const int64_t window : {0, 40}) {
        AttentionProblem problem = problem_of(2, seq_len, 6, 3, dim, window);
        problem.value_dim = values;
        check(problem, random_inputs(problem));
      }
    }
  }
}

TEST_F(Attention, GroupsHeadsInOrder) {
  for (const auto& [heads, kv_heads] :
       {std::pair{1, 1}, {5, 5}, {8, 1}, {6, 3}, {12, 4}, {64, 8}}) {
    const AttentionProblem problem = problem_of(3, 70, heads, kv_heads, 64);
    check(problem, random_inputs(problem));
  }
}

TEST_F(Attention, IsTrueForLongSequences) {
  for (const int64_t dim : {64, 128, 256}) {
    for (const int64_t window : {0, 200, 513}) {
      const AttentionProblem problem = problem_of(1, 1031, 2, 2, dim, window);
      check(problem, random_inputs(problem, 1.5F));
    }
  }
}

TEST_F(Attention, CapsScoresSoftly) {
  for (const int64_t dim : {64, 128, 256}) {
    for (const int64_t window : {0, 40}) {
      for (const float cap : {2.0F, 50.0F}) {
        const AttentionProblem problem = problem_of(2, 201, 4, 2, dim, window, cap);
        check(problem, random_inputs(problem, 2.0F));
      }
    }
  }
}

TEST_F(Attention, SinksTakeTheirShareOfEverySoftmax) {
  for (const int64_t dim : {64, 80, 128, 256}) {
    for (const int64_t window : {0, 40}) {
      for (const float cap : {0.0F, 5.0F}) {
        const AttentionProblem problem = problem_of(2, 201, 4, 2, dim, window, cap);
        Inputs inputs = random_inputs(problem, 1.5F);
        inputs.sinks = {-60.0F, 0.25F, 3.0F, 12.0F};
        check(problem, inputs);
      }
    }
  }
}

TEST_F(Attention, ASinkFarBelowIsNoneAndOneFarAboveTakesAll) {
  const AttentionProblem problem = problem_of(1, 150, 2, 1, 64);
  Inputs inputs = random_inputs(problem);
  const std::vector<float> without =
      download(DType::kBf16, static_cast<int64_t>(inputs.q.size()), run(problem, inputs));
  inputs.sinks = {-1e30F, 1e30F};
  const std::vector<float> with =
      download(DType::kBf16, static_cast<int64_t>(inputs.q.size()), run(problem, inputs));
  for (size_t i = 0; i < with.size(); ++i) {
    ASSERT_EQ(with[i], i / 64 % 2 == 0 ? without[i] : 0.0F) << i;
  }
}

TEST_F(Attention, TakesScoresFarApart) {
  // Multiples of 2^20 that F32 sums exactly: one key, or several alike, have all the weight.
  std::uniform_int_distribution<int> digit(-3, 3);
  for (const int64_t dim : {64, 128, 256}) {
    const AttentionProblem problem = problem_of(2, 200, 2, 2, dim);
    Inputs inputs = random_inputs(problem);
    const auto coarse = [&](std::vector<float>& values) {
      for (float& value : values) {
        value = static_cast<float>(digit(generator())) * 1024.0F;
      }
    };
    coarse(inputs.q);
    coarse(inputs.k);
    check(problem, inputs, true);
  }
}

TEST_F(Attention, FollowsAMaximumThatKeepsRising) {
  // The older a key, the larger its score: every tile of keys brings a new maximum.
  const AttentionProblem problem = problem_of(1, 500, 1, 1, 64);
  Inputs inputs = random_inputs(problem);
  for (int64_t row = 0; row < 500; ++row) {
    for (int64_t d = 0; d < 64; ++d) {
      const auto at = static_cast<size_t>(row * 64 + d);
      inputs.q[at] = 1.0F;
      inputs.k[at] = static_cast<float>(500 - row) * 0.0625F;
    }
  }
  check(problem, inputs, true);
  for (float& value : inputs.k) {
    value = -value;
  }
  check(problem, inputs, true);
}

TEST_F(Attention, ASequenceDependsOnNothingElse) {
  for (const int64_t dim : {64, 128, 256}) {
    const AttentionProblem problem = problem_of(3, 150, 4, 2, dim, 100);
    Inputs inputs = random_inputs(problem);
    inputs.k[0] = inputs.v[1] = std::nanf("");
    const auto cols = static_cast<size_t>(4 * dim);
    std::fill(inputs.q.end() - static_cast<std::ptrdiff_t>(cols), inputs.q.end(),
              std::numeric_limits<float>::infinity());
    const DeviceBuffer together = run(problem, inputs);
    const std::vector<float> all =
        download(DType::kBf16, static_cast<int64_t>(inputs.q.size()), together);
    AttentionProblem alone = problem;
    alone.sequences = 1;
    const auto middle = [](const std::vector<float>& values) {
      const auto third = static_cast<std::ptrdiff_t>(values.size() / 3);
      return std::vector<float>(values.begin() + third, values.begin() + 2 * third);
    };
    Inputs part{middle(inputs.q), middle(inputs.k), middle(inputs.v)};
    for (int repeat = 0; repeat < 3; ++repeat) {
      expect_values(middle(all), 4 * dim, DType::kBf16, run(alone, part));
    }
    EXPECT_FALSE(std::isnan(middle(all)[0]));
  }
}

TEST(AttentionArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  const auto attend = [&](const AttentionProblem& problem, const void* k) {
    return causal_attention(problem, x, k, x, x, nullptr);
  };
  const AttentionProblem good = problem_of(1, 1, 4, 2, 64);
  for (const int64_t dim : {0, 8, 72, 272}) {
    AttentionProblem problem = good;
    problem.head_dim = dim;
    EXPECT_FAILS(attend(problem, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
                 "multiples of 16 up to 256");
  }
  for (const int64_t values : {-16, 24, 80}) {
    AttentionProblem problem = good;
    problem.value_dim = values;
    EXPECT_FAILS(attend(problem, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
                 "values of " + std::to_string(values));
  }
  AttentionProblem problem = good;
  problem.kv_heads = 3;
  EXPECT_FAILS(attend(problem, x), Code::kInvalidArgument, "BAD_SHAPE", "4 heads on 3");
  problem = good;
  problem.seq_len = -1;
  EXPECT_FAILS(attend(problem, x), Code::kInvalidArgument, "BAD_SHAPE", "from 0 to");
  for (const float scale : {0.0F, -1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    problem = good;
    problem.scale = scale;
    EXPECT_FAILS(attend(problem, x), Code::kInvalidArgument, "BAD_SHAPE", "scale");
  }
  for (const float cap : {-1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    problem = good;
    problem.soft_cap = cap;
    EXPECT_FAILS(attend(problem, x), Code::kInvalidArgument, "BAD_SHAPE", "soft cap");
  }
  EXPECT_FAILS(attend(good, nullptr), Code::kInvalidArgument, "BAD_POINTER", "k is null");
  problem = good;
  problem.sinks = reinterpret_cast<const float*>(reinterpret_cast<const char*>(x) + 2);
  EXPECT_FAILS(attend(problem, x), Code::kInvalidArgument, "BAD_POINTER", "sinks is not aligned");
  EXPECT_FAILS(attend(good, x + 1), Code::kInvalidArgument, "BAD_POINTER", "k is not aligned");
  problem = good;
  problem.seq_len = 0;
  EXPECT_OK(attend(problem, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
