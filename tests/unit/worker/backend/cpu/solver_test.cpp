// The algorithms have tests of their own; here it is seen that the backend hands them the right
// operands, in the right order, and keeps their promises over threads and row ranges.
#include <gtest/gtest.h>

#include "quant/format/codes.h"
#include "quant/rotation/hadamard.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"
#include "tests/unit/worker/backend/factorize_alone.h"

namespace rotor::worker {
namespace {

using testing::f32_tensor;
using testing::factorize_alone;
using testing::make_tensor;
using testing::poisoned;
using testing::random_values;
using testing::values_of;

constexpr int64_t kRows = 150;
constexpr int64_t kCols = 128;

std::vector<uint8_t> bytes_of(const Tensor& tensor) {
  return {tensor.as<uint8_t>(), tensor.as<uint8_t>() + tensor.bytes()};
}

/// A Hessian of correlated inputs, finished.
Tensor make_hessian(Backend& backend) {
  std::vector<float> x = random_values(400 * kCols, 9);
  for (size_t i = 1; i < x.size(); ++i) {
    x[i] += 0.7F * x[i - 1];
  }
  const Tensor hessian = poisoned(backend, kCols, kCols);
  EXPECT_OK(backend.hessian_zero(hessian));
  EXPECT_OK(backend.hessian_accumulate(f32_tensor(backend, 400, kCols, x), hessian));
  EXPECT_OK(backend.hessian_finish(hessian, 400));
  return hessian;
}

double total(const std::vector<double>& rows) {
  double sum = 0.0;
  for (const double row : rows) {
    sum += row;
  }
  return sum;
}

/// Mean over tokens and rows of (x w^T - y q^T)^2.
double output_error(const std::vector<float>& x, const Tensor& w, const std::vector<float>& y,
                    const Tensor& q) {
  double sum = 0.0;
  const auto tokens = std::ssize(x) / kCols;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < kRows; ++r) {
      double difference = 0.0;
      for (int64_t c = 0; c < kCols; ++c) {
        const auto at = static_cast<size_t>(t * kCols + c);
        difference += static_cast<double>(x[at] * w.as<float>()[r * kCols + c]) -
                      static_cast<double>(y[at] * q.as<float>()[r * kCols + c]);
      }
      sum += difference * difference;
    }
  }
  return sum / static_cast<double>(tokens * kRows);
}

TEST(SolverTest, AFitToNoisyInputsGivesBetterOutputsOnFreshOnes) {
  const auto backend = make_cpu_backend(2);
  const QuantScheme scheme = make_scheme(Format::kMxfp4, 0, DType::kBf16).value();
  const auto inputs = [&](unsigned seed) {
    std::vector<float> x = random_values(400 * kCols, seed);
    for (size_t i = 1; i < x.size(); ++i) {
      x[i] += 0.9F * x[i - 1];
    }
    return x;
  };
  const auto quantized = [&](const std::vector<float>& x) {
    const Tensor rows = f32_tensor(*backend, 400, kCols, x);
    EXPECT_OK(backend->quantize_activations(rows, {scheme, 0.0F}, rows));
    return values_of(rows);
  };
  const std::vector<float> seen = inputs(11);
  const Tensor noise = poisoned(*backend, 1, kCols);
  const Tensor hessian = poisoned(*backend, kCols, kCols);
  ASSERT_OK(backend->hessian_zero(noise));
  ASSERT_OK(backend->hessian_zero(hessian));
  const Tensor x = f32_tensor(*backend, 400, kCols, seen);
  ASSERT_OK(backend->hessian_accumulate(x, hessian));
  ASSERT_OK(backend->add_squared_differences(x, f32_tensor(*backend, 400, kCols, quantized(seen)),
                                             noise));
  ASSERT_OK(backend->hessian_finish(hessian, 400));
  for (int64_t c = 0; c < kCols; ++c) {
    noise.as<float>()[c] /= 400.0F;
  }
  ASSERT_OK(backend->hessian_add_diagonal(hessian, noise));
  const auto factor = factorize_alone(*backend, hessian);
  ASSERT_OK(factor);
  const Tensor w = f32_tensor(*backend, kRows, kCols, random_values(kRows * kCols, 1));
  const Tensor fitted = f32_tensor(*backend, kRows, kCols, values_of(w));
  ASSERT_OK(backend->fit_noisy_inputs(fitted, noise, *factor));
  const std::vector<float> fresh = inputs(12);
  const std::vector<float> rounded = quantized(fresh);
  EXPECT_LT(output_error(fresh, w, rounded, fitted), 0.98 * output_error(fresh, w, rounded, w));
}

TEST(SolverTest, GptqBeatsRoundingOnTheErrorThatItReports) {
  const auto backend = make_cpu_backend(2);
  const Tensor hessian = make_hessian(*backend);
  const Tensor w = f32_tensor(*backend, kRows, kCols, random_values(kRows * kCols, 1));
  const auto factor = factorize_alone(*backend, hessian);
  ASSERT_OK(factor);
  EXPECT_EQ(factor->kind, FactorKind::kGptq);
  EXPECT_EQ(factor->damping, 0.01);
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const QuantScheme scheme =
        make_scheme(format, format == Format::kInt4 ? 32 : 0, DType::kBf16).value();
    const auto scales = backend->search_scales(w, scheme, format == Format::kNvfp4 ? 600.0F : 1.0F,
                                               ScaleSearch::kMse, Tensor());
    ASSERT_OK(scales);
    EXPECT_EQ(scales->stored.cols(), kCols / scheme.group_size * dtype_size(scheme.scale_dtype));
    const Tensor codes = backend->allocate(DType::kU8, kRows, kCols / 2).value();
    const Tensor decoded = poisoned(*backend, kRows, kCols);
    std::vector<double> errors;
    for (const bool gptq : {false, true}) {
      ASSERT_OK((gptq ? backend->solve({{RowsToSolve{w, *scales, codes}}}, scheme, *factor)
                      : backend->round_to_nearest(w, scheme, *scales, codes)));
      ASSERT_OK(backend->dequantize(codes, scheme, scales->effective, decoded));
      errors.push_back(total(backend->quadratic_error(w, decoded, hessian).value()));
    }
    const double whole = total(backend->quadratic_error(w, Tensor(), hessian).value());
    EXPECT_LT(errors[1], 0.9 * errors[0]) << to_string(format);
    EXPECT_LT(errors[0], 0.05 * whole) << to_string(format);
  }
}

TEST(SolverTest, RefiningLowersTheErrorFurther) {
  const auto backend = make_cpu_backend(2);
  const Tensor hessian = make_hessian(*backend);
  const Tensor w = f32_tensor(*backend, kRows, kCols, random_values(kRows * kCols, 4));
  const auto factor = factorize_alone(*backend, hessian);
  ASSERT_OK(factor);
  const auto costs = backend->solve_costs(*factor);
  ASSERT_OK(costs);
  const QuantScheme scheme = make_scheme(Format::kMxfp4, 0, DType::kBf16).value();
  const auto scales = backend->search_scales(w, scheme, 1.0F, ScaleSearch::kMse, *costs);
  ASSERT_OK(scales);
  const Tensor codes = backend->allocate(DType::kU8, kRows, kCols / 2).value();
  const Tensor decoded = poisoned(*backend, kRows, kCols);
  std::vector<double> errors;
  const std::vector<RowsToSolve> rows = {{w, *scales, codes}};
  ASSERT_OK(backend->solve(rows, scheme, *factor));
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(backend->dequantize(codes, scheme, scales->effective, decoded));
    errors.push_back(total(backend->quadratic_error(w, decoded, hessian).value()));
    ASSERT_OK(backend->refine(rows, scheme, hessian, factor->damping, 2));
  }
  EXPECT_LT(errors[1], 0.98 * errors[0]);
}

TEST(SolverTest, RowRangesAndThreadsMakeTheSameBytes) {
  const std::vector<float> weights = random_values(kRows * kCols, 2);
  const QuantScheme scheme = make_scheme(Format::kNvfp4, 0, DType::kBf16).value();
  std::vector<uint8_t> expected_codes;
  std::vector<uint8_t> expected_scales;
  std::vector<double> expected_errors;
  for (const int threads : {1, 2, 3}) {
    const auto backend = make_cpu_backend(threads);
    const Tensor hessian = make_hessian(*backend);
    const auto factor = factorize_alone(*backend, hessian);
    ASSERT_OK(factor);
    const Tensor w = f32_tensor(*backend, kRows, kCols, weights);
    std::vector<uint8_t> codes;
    std::vector<uint8_t> stored;
    std::vector<double> errors;
    // One range for one thread, a range a tile for the others.
    const int64_t step = threads == 1 ? kRows : backend->row_tile();
    for (int64_t row = 0; row < kRows; row += step) {
      const int64_t count = std::min(step, kRows - row);
      const Tensor rows = w.row_range(row, count);
      const auto scales = backend->search_scales(rows, scheme, 600.0F, ScaleSearch::kMse, Tensor());
      ASSERT_OK(scales);
      const Tensor part = backend->allocate(DType::kU8, count, kCols / 2).value();
      ASSERT_OK(backend->solve({{RowsToSolve{rows, *scales, part}}}, scheme, *factor));
      const auto part_errors = backend->quadratic_error(rows, Tensor(), hessian).value();
      const auto part_codes = bytes_of(part);
      const auto part_scales = bytes_of(scales->stored);
      codes.insert(codes.end(), part_codes.begin(), part_codes.end());
      stored.insert(stored.end(), part_scales.begin(), part_scales.end());
      errors.insert(errors.end(), part_errors.begin(), part_errors.end());
    }
    if (threads == 1) {
      expected_codes = codes;
      expected_scales = stored;
      expected_errors = errors;
    }
    EXPECT_EQ(codes, expected_codes) << threads;
    EXPECT_EQ(stored, expected_scales) << threads;
    EXPECT_EQ(errors, expected_errors) << threads;
  }
}

TEST(SolverTest, RotationsAgree) {
  const auto backend = make_cpu_backend(2);
  std::vector<float> x = random_values(90 * kCols, 3);
  const Tensor narrow = make_tensor(*backend, DType::kBf16, 90, kCols, x);
  const Tensor rotated = poisoned(*backend, 90, kCols);
  ASSERT_OK(backend->rotate(narrow, 32, rotated));

  const Tensor plain = poisoned(*backend, kCols, kCols);
  const Tensor of_rotated = poisoned(*backend, kCols, kCols);
  for (const auto& [input, hessian] :
       {std::pair{f32_tensor(*backend, 90, kCols, x), plain}, std::pair{rotated, of_rotated}}) {
    ASSERT_OK(backend->hessian_zero(hessian));
    ASSERT_OK(backend->hessian_accumulate(input, hessian));
    ASSERT_OK(backend->hessian_finish(hessian, 90));
  }
  const Tensor rotated_hessian = poisoned(*backend, kCols, kCols);
  ASSERT_OK(backend->rotate_hessian(plain, 32, rotated_hessian));
  const std::vector<float> expected = values_of(of_rotated);
  testing::expect_close(values_of(rotated_hessian), {expected.begin(), expected.end()}, 1e-5);

  // Twice is the identity; a block of 1 converts and does nothing else.
  ASSERT_OK(backend->rotate(rotated, 32, rotated));
  testing::expect_close(values_of(rotated), {x.begin(), x.end()}, 1e-5);
  ASSERT_OK(backend->rotate(narrow, 1, rotated));
  EXPECT_EQ(values_of(rotated), x);
  EXPECT_EQ(backend->rotate(narrow, 48, rotated).code(), Code::kInvalidArgument);
}

TEST(SolverTest, ActivationsAreRoundedInPlace) {
  const auto backend = make_cpu_backend(2);
  std::vector<float> x(64, 0.0F);
  x[0] = 6.0F;
  x[1] = 2.4F;
  x[32] = 12.0F;
  x[33] = 3.2F;
  const Tensor tensor = f32_tensor(*backend, 1, 64, x);
  ASSERT_OK(
      backend->quantize_activations(tensor, {{Format::kMxfp4, 32, DType::kU8}, 1.0F}, tensor));
  x[1] = 2.0F;   // scale 1
  x[33] = 3.0F;  // scale 2, and 1.6 rounds to 1.5
  EXPECT_EQ(values_of(tensor), x);
}

TEST(SolverTest, AHessianThatIsNotFiniteIsRefused) {
  const auto backend = make_cpu_backend(1);
  const Tensor hessian = make_hessian(*backend);
  hessian.as<float>()[5 * kCols + 3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(factorize_alone(*backend, hessian).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace rotor::worker
