#include "quant/analysis/format_errors.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/format/activations.h"
#include "quant/format/codes.h"
#include "quant/gptq/solve.h"
#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"

namespace rotor {
namespace {

double squared(float value) {
  return static_cast<double>(value) * static_cast<double>(value);
}

/// `group` columns: y as they are rounded to y^, x before the rotation and x^ behind it.
struct GroupValues {
  const float* y;
  const float* rounded;
  const float* x;
  const float* restored;
};

void add_group(const GroupValues& values, int64_t group, FormatErrors* sums) {
  double squares = 0.0;
  double error = 0.0;
  double x_squares = 0.0;
  float peak = 0.0F;
  int64_t top = 0;
  for (int64_t i = 0; i < group; ++i) {
    squares += squared(values.y[i]);
    error += squared(values.y[i] - values.rounded[i]);
    x_squares += squared(values.x[i]);
    peak = std::max(peak, std::abs(values.y[i]));
    top = std::abs(values.x[i]) > std::abs(values.x[top]) ? i : top;
  }
  if (!(squares > 0.0) || !(x_squares > 0.0)) {
    return;
  }
  const double top_error = squared(values.x[top] - values.restored[top]);
  ++sums->groups;
  sums->squares += squares;
  sums->squared_error += error;
  sums->group_ratios += error / squares;
  sums->top_squared_error += top_error;
  sums->top_ratios += top_error / squared(values.x[top]);
  sums->least_peak = std::min(sums->least_peak, static_cast<double>(peak));
  sums->greatest_peak = std::max(sums->greatest_peak, static_cast<double>(peak));
}

/// Row by row, and the rows' sums in their order: the same for any number of threads.
Result<FormatErrors> compare(const RotatedRows& what, const std::vector<float>& rounded,
                             int64_t group, Parallel& parallel) {
  const float* restored = rounded.data();
  std::vector<float> back;
  if (what.block > 0) {
    back.resize(rounded.size());
    ROTOR_RETURN_IF_ERROR(rotate_rows(rounded.data(), DType::kF32, what.rows, what.cols, what.block,
                                      back.data(), parallel));
    restored = back.data();
  }
  std::vector<FormatErrors> by_row(static_cast<size_t>(what.rows));
  parallel.for_each(what.rows, [&](int64_t row) {
    for (int64_t c = row * what.cols; c < (row + 1) * what.cols; c += group) {
      add_group({what.rotated + c, rounded.data() + c, what.original + c, restored + c}, group,
                &by_row[static_cast<size_t>(row)]);
    }
  });
  FormatErrors all;
  for (const FormatErrors& row : by_row) {
    all.add(row);
  }
  return all;
}

double over_groups(double sum, int64_t groups) {
  return groups > 0 ? sum / static_cast<double>(groups) : 0.0;
}

}  // namespace

void FormatErrors::add(const FormatErrors& other) {
  groups += other.groups;
  squares += other.squares;
  squared_error += other.squared_error;
  group_ratios += other.group_ratios;
  top_squared_error += other.top_squared_error;
  top_ratios += other.top_ratios;
  least_peak = std::min(least_peak, other.least_peak);
  greatest_peak = std::max(greatest_peak, other.greatest_peak);
}

double FormatErrors::total() const {
  return squares > 0.0 ? squared_error / squares : 0.0;
}

double FormatErrors::relative() const {
  return over_groups(group_ratios, groups);
}

double FormatErrors::top() const {
  return over_groups(top_ratios, groups);
}

double FormatErrors::top_absolute() const {
  return over_groups(top_squared_error, groups);
}

double FormatErrors::octaves() const {
  return groups > 0 ? std::log2(greatest_peak / least_peak) : 0.0;
}

Result<FormatErrors> weight_errors(const RotatedRows& w, const QuantScheme& scheme,
                                   float global_scale, ScaleSearch search, Parallel& parallel) {
  const auto size = static_cast<size_t>(w.rows * w.cols);
  const size_t groups = size / static_cast<size_t>(scheme.group_size);
  std::vector<uint8_t> stored(groups * static_cast<size_t>(dtype_size(scheme.scale_dtype)));
  std::vector<float> effective(groups);
  ROTOR_RETURN_IF_ERROR(search_scales(w.rotated, w.rows, w.cols, scheme, global_scale,
                                      {.search = search}, stored.data(), effective.data(),
                                      parallel));
  std::vector<uint8_t> codes(size / 2);
  ROTOR_RETURN_IF_ERROR(
      round_rows(w.rotated, w.rows, w.cols, scheme, effective.data(), codes.data(), parallel));
  std::vector<float> rounded(size);
  dequantize_codes(scheme, codes.data(), effective.data(), w.rows, w.cols, rounded.data(),
                   parallel);
  return compare(w, rounded, scheme.group_size, parallel);
}

Result<FormatErrors> input_errors(const RotatedRows& x, const QuantScheme& scheme,
                                  float input_global_scale, Parallel& parallel) {
  std::vector<float> rounded(static_cast<size_t>(x.rows * x.cols));
  fake_quantize_activations(x.rotated, x.rows, x.cols, scheme, input_global_scale, rounded.data(),
                            parallel);
  return compare(x, rounded, scheme.group_size, parallel);
}

}  // namespace rotor
