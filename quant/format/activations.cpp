#include "quant/format/activations.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "quant/format/codes.h"
#include "quant/format/e2m1.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"
#include "quant/format/int4.h"

namespace rotor {
namespace {

/// Largest |x|; NaN or infinity where the group holds one. As integers, magnitudes order like the
/// floats they stand for, with infinity and NaN on top.
float group_absmax(const float* x, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU);
  }
  return std::bit_cast<float>(largest);
}

float nvfp4_stored_scale(float absmax, float divisor) {
  return e4m3_decode(e4m3_encode(divisor * absmax / kE2m1Max));
}

float activation_scale(const QuantScheme& scheme, float absmax, float input_global_scale) {
  switch (scheme.format) {
    case Format::kNvfp4:
      if (scheme.global == GlobalScale::kMultiplier) {
        return nvfp4_stored_scale(absmax, 1.0F / input_global_scale) * input_global_scale;
      }
      return nvfp4_stored_scale(absmax, input_global_scale) / input_global_scale;
    case Format::kMxfp4:
      return scheme.global == GlobalScale::kThree ? e8m0_decode(e8m0_floor(absmax)) / 3.0F
                                                  : e8m0_decode(e8m0_activation_byte(absmax));
    case Format::kInt4:
      return absmax / kInt4Range;
  }
  return 0.0F;
}

void fake_quantize_group(const float* x, int64_t count, Format format, float scale, float* out) {
  if (format == Format::kInt4) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = dequantized(int4_round(x[i] / scale), scale);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = dequantized(e2m1_round(x[i] / scale), scale);
    }
  }
}

}  // namespace

void fake_quantize_activations(const float* x, int64_t tokens, int64_t cols,
                               const QuantScheme& scheme, float input_global_scale, float* out,
                               Parallel& parallel) {
  const int64_t group_size = scheme.group_size;
  parallel.for_each(tokens, [&](int64_t token) {
    for (int64_t c = token * cols; c < (token + 1) * cols; c += group_size) {
      const float absmax = group_absmax(x + c, group_size);
      if (!std::isfinite(absmax)) {
        std::fill_n(out + c, group_size, std::numeric_limits<float>::quiet_NaN());
        continue;
      }
      const float scale = activation_scale(scheme, absmax, input_global_scale);
      if (scale == 0.0F) {
        std::fill_n(out + c, group_size, 0.0F);
        continue;
      }
      fake_quantize_group(x + c, group_size, scheme.format, scale, out + c);
    }
  });
}

}  // namespace rotor
