#include "quant/scales/scale_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "quant/format/codes.h"
#include "quant/format/e2m1.h"
#include "quant/format/e4m3.h"
#include "quant/format/finite.h"
#include "quant/format/rounding.h"
#include "quant/scales/candidates.h"

namespace rotor {
namespace {

// Groups are searched side by side, one a lane, so that no sum runs across lanes and a
// group's result does not depend on its neighbours.
constexpr int kLanes = 32;
constexpr int64_t kRowsPerPiece = 16;
constexpr float kSmallestAmax = 0x1p-100F;  // of what nvfp4_global_scale tells apart
using Lanes = std::array<float, kLanes>;

struct Search {
  const float* w;
  int64_t cols;
  QuantScheme scheme;
  const ScaleCandidates& candidates;
  std::span<const float> column_weights;
};

/// The groups of the lanes, transposed, each divided by its absmax so that squares neither overflow
/// nor vanish.
struct Batch {
  explicit Batch(int64_t group_size)
      : x(static_cast<size_t>(group_size)), weight(static_cast<size_t>(group_size)) {}
  std::vector<Lanes> x;
  std::vector<Lanes> weight;
  Lanes absmax{};  // 1 for a group of zeros
};

float group_absmax(const float* w, int64_t count) {
  float largest = 0.0F;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::fabs(w[i]));
  }
  return largest;
}

/// Weighted squared error of each lane's group at its lane's scale, relative to absmax^2.
template <typename Rounding>
Lanes squared_errors(const Batch& batch, const Lanes& scale) {
  Lanes inverse;
  Lanes unit;
  for (size_t l = 0; l < kLanes; ++l) {
    inverse[l] = batch.absmax[l] / scale[l];
    unit[l] = scale[l] / batch.absmax[l];
  }
  Lanes sum{};
  for (size_t c = 0; c < batch.x.size(); ++c) {
    const Lanes& x = batch.x[c];
    const Lanes& weight = batch.weight[c];
    for (size_t l = 0; l < kLanes; ++l) {
      const float error = x[l] - dequantized(Rounding::value(x[l] * inverse[l]), unit[l]);
      sum[l] += weight[l] * error * error;
    }
  }
  return sum;
}

/// The best candidate of `groups` (at most kLanes) groups, from group `first` of the matrix on.
template <typename Rounding>
void search_batch(const Search& search, int64_t first, int64_t groups, Batch& batch,
                  ScaleCandidate* chosen) {
  const int64_t size = search.scheme.group_size;
  const int64_t groups_per_row = search.cols / size;
  std::array<std::array<ScaleCandidate, ScaleCandidates::kMaxCount>, kLanes> candidates;
  for (int64_t l = 0; l < kLanes; ++l) {
    const auto lane = static_cast<size_t>(l);
    const int64_t group = first + std::min(l, groups - 1);  // idle lanes repeat the last group
    const float* w = search.w + group * size;
    const float absmax = group_absmax(w, size);
    batch.absmax[lane] = absmax < std::numeric_limits<float>::min() ? 1.0F : absmax;
    const float inverse = 1.0F / batch.absmax[lane];
    const float* weights = search.column_weights.empty()
                               ? nullptr
                               : search.column_weights.data() + group % groups_per_row * size;
    for (int64_t c = 0; c < size; ++c) {
      batch.x[static_cast<size_t>(c)][lane] = w[c] * inverse;
      batch.weight[static_cast<size_t>(c)][lane] = weights == nullptr ? 1.0F : weights[c];
    }
    search.candidates.all(batch.absmax[lane], candidates[lane].data());
  }
  Lanes best;
  best.fill(std::numeric_limits<float>::infinity());
  for (size_t l = 0; l < static_cast<size_t>(groups); ++l) {
    chosen[l] = search.candidates.absmax_candidate(batch.absmax[l]);  // should no sum be finite
  }
  for (int i = 0; i < search.candidates.count(); ++i) {
    Lanes scale;
    for (size_t l = 0; l < kLanes; ++l) {
      scale[l] = candidates[l][static_cast<size_t>(i)].effective;
    }
    const Lanes errors = squared_errors<Rounding>(batch, scale);
    for (size_t l = 0; l < static_cast<size_t>(groups); ++l) {
      if (errors[l] < best[l]) {
        best[l] = errors[l];
        chosen[l] = candidates[l][static_cast<size_t>(i)];
      }
    }
  }
}

void absmax_batch(const Search& search, int64_t first, int64_t groups, ScaleCandidate* chosen) {
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t size = search.scheme.group_size;
    chosen[g] = search.candidates.absmax_candidate(std::max(
        group_absmax(search.w + (first + g) * size, size), std::numeric_limits<float>::min()));
  }
}

Status check_shapes(int64_t cols, const QuantScheme& scheme, const ScaleOptions& options) {
  const auto weights = static_cast<int64_t>(options.column_weights.size());
  if (cols % scheme.group_size == 0 && (weights == 0 || weights == cols)) {
    return {};
  }
  return invalid_argument("scales of " + std::to_string(cols) + " columns in groups of " +
                          std::to_string(scheme.group_size) + " with " + std::to_string(weights) +
                          " column weights: groups must divide the columns, and weights be one a "
                          "column or none")
      .with_reason("BAD_SHAPE");
}

}  // namespace

float nvfp4_global_scale(float amax) {
  return amax == 0.0F ? 1.0F : kE4m3Max * kE2m1Max / std::max(amax, kSmallestAmax);
}

float global_scale_for(const QuantScheme& scheme, float amax) {
  if (scheme.global == GlobalScale::kThree) {
    return 3.0F;
  }
  if (scheme.format != Format::kNvfp4) {
    return 1.0F;
  }
  if (scheme.global == GlobalScale::kMultiplier) {
    return amax == 0.0F ? 1.0F : std::max(amax, kSmallestAmax) / (kE4m3Max * kE2m1Max);
  }
  return nvfp4_global_scale(amax);
}

Status search_scales(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                     float global_scale, const ScaleOptions& options, uint8_t* stored,
                     float* effective, Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_shapes(cols, scheme, options));
  ROTOR_RETURN_IF_ERROR(check_finite("weight", w, rows, cols));
  const ScaleCandidates candidates(scheme, global_scale);
  const Search search{w, cols, scheme, candidates, options.column_weights};
  const int64_t groups_per_row = cols / scheme.group_size;
  const auto scale_bytes = static_cast<size_t>(dtype_size(scheme.scale_dtype));
  parallel.for_each((rows + kRowsPerPiece - 1) / kRowsPerPiece, [&](int64_t piece) {
    Batch batch(scheme.group_size);
    const int64_t end = std::min((piece + 1) * kRowsPerPiece, rows) * groups_per_row;
    for (int64_t first = piece * kRowsPerPiece * groups_per_row; first < end; first += kLanes) {
      const int64_t groups = std::min<int64_t>(kLanes, end - first);
      std::array<ScaleCandidate, kLanes> chosen{};
      if (options.search == ScaleSearch::kAbsmax) {
        absmax_batch(search, first, groups, chosen.data());
      } else {
        with_rounding(scheme.format, [&](auto rounding) {
          search_batch<decltype(rounding)>(search, first, groups, batch, chosen.data());
        });
      }
      for (int64_t g = 0; g < groups; ++g) {
        const float* group = w + (first + g) * scheme.group_size;
        const bool empty =
            group_absmax(group, scheme.group_size) < std::numeric_limits<float>::min();
        const ScaleCandidate& choice =
            empty ? candidates.smallest() : chosen[static_cast<size_t>(g)];
        std::memcpy(stored + static_cast<size_t>(first + g) * scale_bytes, &choice.stored,
                    scale_bytes);
        effective[first + g] = choice.effective;
      }
    }
  });
  return {};
}

}  // namespace rotor
