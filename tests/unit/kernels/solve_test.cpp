// GPTQ and its refinement on the GPU against a textbook in F64. Near a tie two correct solvers may
// choose different codes and then differ from there on, so it is their objectives that are
// compared.
#include "kernels/solve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/cholesky.h"
#include "kernels/symmetric.h"
#include "quant/format/codes.h"
#include "quant/format/rounding.h"
#include "quant/gptq/column_order.h"
#include "quant/scales/scale_search.h"
#include "tests/unit/kernels/gemm_test.h"

namespace rotor::kernels {
namespace {

struct Case {
  Format format;
  int64_t group_size;
  int64_t rows;
  int64_t cols;
};

class SolveTest : public GemmTest, public ::testing::WithParamInterface<Case> {
 protected:
  void SetUp() override {
    GemmTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    const Case& test = GetParam();
    rows_ = test.rows;
    cols_ = test.cols;
    Result<QuantScheme> scheme =
        make_scheme(test.format, test.format == Format::kInt4 ? test.group_size : 0, DType::kBf16);
    ASSERT_OK(scheme);
    scheme_ = *scheme;
    make_problem();
  }

  void make_problem() {
    w_ = random_values(rows_ * cols_, 0.02F);
    make_hessian();
    const int64_t groups = cols_ / scheme_.group_size;
    std::vector<uint8_t> stored(
        static_cast<size_t>(rows_ * groups * dtype_size(scheme_.scale_dtype)));
    effective_.resize(static_cast<size_t>(rows_ * groups));
    const float global = scheme_.format == Format::kNvfp4 ? nvfp4_global_scale(0.1F) : 1.0F;
    ASSERT_OK(search_scales(w_.data(), rows_, cols_, scheme_, global, {}, stored.data(),
                            effective_.data(), parallel_));
  }

  /// X^T X / T of correlated inputs; input 3 is dead.
  void make_hessian() {
    const int64_t tokens = 2 * cols_;
    std::vector<float> x = random_values(tokens * cols_);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t c = 1; c < cols_; ++c) {
        x[static_cast<size_t>(t * cols_ + c)] += 0.8F * x[static_cast<size_t>(t * cols_ + c - 1)];
      }
      x[static_cast<size_t>(t * cols_ + 3)] = 0.0F;
    }
    hessian_.assign(static_cast<size_t>(cols_ * cols_), 0.0F);
    parallel_.for_each(cols_, [&](int64_t i) {
      std::vector<double> row(static_cast<size_t>(cols_), 0.0);
      for (int64_t t = 0; t < tokens; ++t) {
        const float* line = x.data() + t * cols_;
        for (int64_t j = 0; j < cols_; ++j) {
          row[static_cast<size_t>(j)] += double{line[i]} * double{line[j]};
        }
      }
      for (int64_t j = 0; j < cols_; ++j) {
        hessian_[static_cast<size_t>(i * cols_ + j)] =
            static_cast<float>(row[static_cast<size_t>(j)] / static_cast<double>(tokens));
      }
    });
  }

  /// The damped objective of each row, in F64.
  std::vector<double> objective(const std::vector<uint8_t>& packed) {
    std::vector<float> values(w_.size());
    dequantize_codes(scheme_, packed.data(), effective_.data(), rows_, cols_, values.data(),
                     parallel_);
    std::vector<double> result(static_cast<size_t>(rows_));
    parallel_.for_each(rows_, [&](int64_t r) {
      const auto error = [&](int64_t c) {
        const auto at = static_cast<size_t>(r * cols_ + c);
        return double{w_[at]} - double{values[at]};
      };
      double sum = 0.0;
      for (int64_t i = 0; i < cols_; ++i) {
        double line = kDamping * mean() * error(i);
        for (int64_t j = 0; j < cols_; ++j) {
          line += double{hessian_[static_cast<size_t>(i * cols_ + j)]} * error(j);
        }
        sum += line * error(i);
      }
      result[static_cast<size_t>(r)] = sum;
    });
    return result;
  }

  double mean() const {
    std::vector<float> diagonal(static_cast<size_t>(cols_));
    for (int64_t c = 0; c < cols_; ++c) {
      diagonal[static_cast<size_t>(c)] = hessian_[static_cast<size_t>(c * (cols_ + 1))];
    }
    return mean_live(diagonal);
  }

  /// GPTQ as the original paper has it: H^-1 = U^T U, errors passed on column by column, in F64.
  std::vector<uint8_t> textbook(const std::vector<int32_t>& order) {
    const auto n = static_cast<size_t>(cols_);
    std::vector<double> inverse = inverse_of_damped(order);
    std::vector<uint8_t> codes(static_cast<size_t>(rows_ * cols_));
    std::vector<double> upper = inverse;  // of the Cholesky factor of the inverse
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i; j < n; ++j) {
        double value = inverse[i * n + j];
        for (size_t k = 0; k < i; ++k) {
          value -= upper[k * n + i] * upper[k * n + j];
        }
        upper[i * n + j] = i == j ? std::sqrt(value) : value / upper[i * n + i];
      }
    }
    parallel_.for_each(rows_, [&](int64_t r) {
      std::vector<double> row(n);
      for (size_t i = 0; i < n; ++i) {
        row[i] = w_[static_cast<size_t>(r * cols_ + order[i])];
      }
      for (size_t i = 0; i < n; ++i) {
        const int64_t column = order[i];
        const float scale = effective_[static_cast<size_t>(r * (cols_ / scheme_.group_size) +
                                                           column / scheme_.group_size)];
        const auto ratio = static_cast<float>(row[i] / double{scale});
        const float rounded =
            scheme_.format == Format::kInt4 ? int4_round(ratio) : e2m1_round(ratio);
        codes[static_cast<size_t>(r * cols_ + column)] =
            scheme_.format == Format::kInt4 ? int4_code(rounded) : e2m1_code(rounded);
        const double error = (row[i] - double{rounded} * double{scale}) / upper[i * n + i];
        for (size_t j = i + 1; j < n; ++j) {
          row[j] -= error * upper[i * n + j];
        }
      }
    });
    std::vector<uint8_t> packed(codes.size() / 2);
    pack_nibbles(codes.data(), rows_ * cols_, packed.data());
    return packed;
  }

  /// Gauss-Jordan, since nothing here may share code with what is tested.
  std::vector<double> inverse_of_damped(const std::vector<int32_t>& order) {
    const auto n = static_cast<size_t>(cols_);
    std::vector<double> a(n * n);
    std::vector<double> b(n * n, 0.0);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        a[i * n + j] = hessian_[static_cast<size_t>(order[i]) * n + static_cast<size_t>(order[j])];
      }
      a[i * n + i] += (a[i * n + i] > 0.0 ? 0.0 : mean()) + kDamping * mean();
      b[i * n + i] = 1.0;
    }
    for (size_t i = 0; i < n; ++i) {
      const double pivot = a[i * n + i];
      for (size_t j = 0; j < n; ++j) {
        a[i * n + j] /= pivot;
        b[i * n + j] /= pivot;
      }
      parallel_.for_each(cols_, [&](int64_t line) {
        const auto k = static_cast<size_t>(line);
        const double factor = k == i ? 0.0 : a[k * n + i];
        for (size_t j = 0; j < n && factor != 0.0; ++j) {
          a[k * n + j] -= factor * a[i * n + j];
          b[k * n + j] -= factor * b[i * n + j];
        }
      });
    }
    return b;
  }

  SolveRows rows(const DeviceBuffer& w, const DeviceBuffer& effective, const DeviceBuffer& codes,
                 int64_t begin, int64_t count) const {
    return {w.as<float>() + begin * cols_, count,
            effective.as<float>() + begin * (cols_ / scheme_.group_size),
            codes.as<uint8_t>() + begin * (cols_ / 2)};
  }

  SolveProblem problem(std::vector<SolveRows> weights) const {
    return {cols_, scheme_, std::move(weights)};
  }

  std::vector<uint8_t> downloaded(const DeviceBuffer& codes) {
    std::vector<uint8_t> host(static_cast<size_t>(rows_ * cols_ / 2));
    EXPECT_OK(codes.copy_to_host(host.data(), static_cast<int64_t>(host.size()), stream()));
    synchronize();
    return host;
  }

  static constexpr double kDamping = 0.01;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  QuantScheme scheme_;
  std::vector<float> w_;
  std::vector<float> hessian_;
  std::vector<float> effective_;
  std::unique_ptr<Parallel> pool_ = make_thread_pool(4);
  Parallel& parallel_ = *pool_;
};

double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

TEST_P(SolveTest, ReachesTheTextbooksObjectiveAndRefinementLowersIt) {
  std::vector<float> diagonal(static_cast<size_t>(cols_));
  for (int64_t c = 0; c < cols_; ++c) {
    diagonal[static_cast<size_t>(c)] = hessian_[static_cast<size_t>(c * (cols_ + 1))];
  }
  std::vector<int32_t> order(diagonal.size());
  std::vector<uint8_t> dead(diagonal.size());
  ASSERT_OK(order_columns(diagonal, true, order.data(), dead.data()));
  const double expected = total(objective(textbook(order)));

  std::reverse(order.begin(), order.end());
  const DeviceBuffer hessian = upload(hessian_);
  const DeviceBuffer device_order = upload(order);
  const DeviceBuffer device_dead = upload(dead);
  const DeviceBuffer lower = poisoned(DType::kF32, cols_ * cols_);
  const auto mean_value = static_cast<float>(mean());
  ASSERT_OK(gather_lower(
      hessian.as<float>(), cols_, device_order.as<int32_t>(), device_dead.as<uint8_t>(),
      {mean_value, static_cast<float>(kDamping) * mean_value}, lower.as<float>(), stream()));
  ASSERT_OK(factorize_cholesky(*gemm_, lower.as<float>(), cols_, {}, stream()));

  const DeviceBuffer w = upload(w_);
  const DeviceBuffer effective = upload(effective_);
  const DeviceBuffer codes = poisoned(DType::kU8, rows_ * cols_ / 2);
  const SolveFactor factor{lower.as<float>(), device_order.as<int32_t>()};
  const SolveProblem whole = problem({rows(w, effective, codes, 0, rows_)});
  ASSERT_OK(solve_rows(*gemm_, whole, factor, stream()));
  const std::vector<uint8_t> solved = downloaded(codes);
  const std::vector<double> reached = objective(solved);
  EXPECT_NEAR(total(reached) / expected, 1.0, 0.01);

  // The same bits however the rows are cut, and whatever they are solved with.
  DeviceBuffer parts = poisoned(DType::kU8, rows_ * cols_ / 2);
  const int64_t first = std::max<int64_t>(rows_ / 3, 1);
  const SolveRows top = rows(w, effective, parts, 0, first);
  const SolveRows rest = rows(w, effective, parts, first, rows_ - first);
  ASSERT_OK(solve_rows(*gemm_, problem({top}), factor, stream()));
  ASSERT_OK(solve_rows(*gemm_, problem({rest}), factor, stream()));
  EXPECT_EQ(downloaded(parts), solved);
  ASSERT_OK(parts.fill(0xFF, stream()));
  ASSERT_OK(solve_rows(*gemm_, problem({top, rest}), factor, stream()));
  EXPECT_EQ(downloaded(parts), solved);

  const float damping = static_cast<float>(kDamping) * mean_value;
  ASSERT_OK(refine_rows(*gemm_, whole, hessian.as<float>(), damping, 2, stream()));
  const std::vector<double> refined = objective(downloaded(codes));
  EXPECT_LE(total(refined), total(reached));
  for (size_t r = 0; r < refined.size(); ++r) {
    EXPECT_LE(refined[r], reached[r] * 1.001) << "row " << r;
  }
  ASSERT_OK(refine_rows(*gemm_, problem({top}), hessian.as<float>(), damping, 2, stream()));
  ASSERT_OK(refine_rows(*gemm_, problem({rest}), hessian.as<float>(), damping, 2, stream()));
  const std::vector<uint8_t> improved = downloaded(codes);
  EXPECT_EQ(downloaded(parts), improved);
  ASSERT_OK(parts.copy_from_host(solved.data(), static_cast<int64_t>(solved.size()), stream()));
  ASSERT_OK(refine_rows(*gemm_, problem({rest, top}), hessian.as<float>(), damping, 2, stream()));
  EXPECT_EQ(downloaded(parts), improved);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SolveTest,
                         ::testing::Values(Case{Format::kNvfp4, 16, 1, 16},
                                           Case{Format::kNvfp4, 16, 70, 144},
                                           Case{Format::kMxfp4, 32, 129, 416},
                                           Case{Format::kInt4, 128, 33, 384},
                                           Case{Format::kInt4, 32, 5, 160},
                                           // Several panels, the last one ragged.
                                           Case{Format::kNvfp4, 16, 200, 1424}));

}  // namespace
}  // namespace rotor::kernels
