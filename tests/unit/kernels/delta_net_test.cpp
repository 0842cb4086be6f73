#include "kernels/delta_net.h"

#include <cmath>

#include "tests/support/delta_net_reference.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

using DeltaNet = CudaTest;

/// Within `tolerance` of what is expected, or of BF16's rounding of it; NaN guards a failure.
void expect_close(const std::vector<float>& actual, const std::vector<double>& expected,
                  double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(std::abs(static_cast<double>(actual[i]) - expected[i]) <=
                tolerance * (1.0 + std::abs(expected[i])))
        << "element " << i << " is " << actual[i] << ", expected " << expected[i];
  }
}

double tolerance_of(DType dtype) {
  return dtype == DType::kF32 ? 2e-5 : 8e-3;
}

TEST_F(DeltaNet, ConvolvesEachSequenceByItself) {
  const int64_t seq_len = 11;
  const int64_t rows = 3 * seq_len;
  const int64_t cols = 70;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t taps : {1, 4}) {
      std::vector<float> x = random_values(rows * cols);
      std::vector<float> weight = random_values(cols * taps);
      const DeviceBuffer in = upload_as(dtype, x);
      const DeviceBuffer device_weight = upload(weight);
      const DeviceBuffer out = upload_as(dtype, x);
      ASSERT_OK(causal_convolution(in.data(), dtype, rows, cols, seq_len,
                                   static_cast<const float*>(device_weight.data()), taps,
                                   out.data(), stream()));
      expect_close(download(dtype, rows * cols, out),
                   testing::expected_convolution(x, rows, cols, seq_len, weight, taps),
                   tolerance_of(dtype));
    }
  }
}

struct Sizes {
  int64_t key_heads;
  int64_t value_heads;
  int64_t key_dim;
  int64_t value_dim;
};

TEST_F(DeltaNet, GoesFromTokenToToken) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const Sizes& s : {Sizes{2, 4, 128, 128}, Sizes{1, 3, 24, 70}, Sizes{2, 2, 256, 16}}) {
      DeltaProblem problem{.sequences = 2,
                           .seq_len = 37,
                           .key_heads = s.key_heads,
                           .value_heads = s.value_heads,
                           .key_dim = s.key_dim,
                           .value_dim = s.value_dim};
      const int64_t tokens = 2 * 37;
      const int64_t values = s.value_heads * s.value_dim;
      std::vector<float> mixed = random_values(tokens * (2 * s.key_heads * s.key_dim + values));
      std::vector<float> beta = random_values(tokens * s.value_heads);
      std::vector<float> alpha = random_values(tokens * s.value_heads);
      std::vector<float> decay = random_values(s.value_heads);
      std::vector<float> step = random_values(s.value_heads);
      const DeviceBuffer device_mixed = upload_as(dtype, mixed);
      const DeviceBuffer device_beta = upload_as(dtype, beta);
      const DeviceBuffer device_alpha = upload_as(dtype, alpha);
      const DeviceBuffer device_decay = upload(decay);
      const DeviceBuffer device_step = upload(step);
      std::vector<float> none(static_cast<size_t>(tokens * values), 0.0F);
      const DeviceBuffer out = upload_as(dtype, none);
      problem.decay = static_cast<const float*>(device_decay.data());
      problem.step = static_cast<const float*>(device_step.data());
      ASSERT_OK(delta_rule(problem, device_mixed.data(), device_beta.data(), device_alpha.data(),
                           dtype, out.data(), stream()));
      expect_close(download(dtype, tokens * values, out),
                   testing::expected_delta_rule(problem, mixed, beta, alpha, decay, step),
                   tolerance_of(dtype));
    }
  }
}

TEST_F(DeltaNet, GatesByColumnOrByRow) {
  const int64_t rows = 33;
  const int64_t cols = 70;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t gate_cols : {cols, int64_t{1}}) {
      std::vector<float> x = random_values(rows * cols);
      std::vector<float> gate = random_values(rows * gate_cols);
      const DeviceBuffer gated = upload_as(dtype, x);
      const DeviceBuffer device_gate = upload_as(dtype, gate);
      ASSERT_OK(
          sigmoid_gate(gated.data(), device_gate.data(), dtype, rows, cols, gate_cols, stream()));
      expect_close(download(dtype, rows * cols, gated),
                   testing::expected_sigmoid_gate(x, cols, gate, gate_cols), tolerance_of(dtype));
    }
  }
}

TEST(DeltaNetArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  EXPECT_FAILS(causal_convolution(x, DType::kF32, 5, 4, 2, x, 4, x, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "5 rows in sequences of 2");
  EXPECT_FAILS(sigmoid_gate(x, x, DType::kF32, 2, 4, 3, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "a gate of 3 columns for 4");
  DeltaProblem problem{
      .sequences = 1, .seq_len = 1, .key_heads = 2, .value_heads = 3, .key_dim = 4, .value_dim = 4};
  EXPECT_FAILS(delta_rule(problem, x, x, x, DType::kF32, x, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "3 value heads of 4 over 2 key heads of 4");
  problem.value_heads = 4;
  problem.key_dim = 512;
  EXPECT_FAILS(delta_rule(problem, x, x, x, DType::kF32, x, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "CUDA takes up to 256");
}

}  // namespace
}  // namespace rotor::kernels
