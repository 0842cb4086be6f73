// The 4-bit rounding of each format as a type, for loops that are compiled once a format.
#pragma once

#include <cstdint>

#include "quant/format/e2m1.h"
#include "quant/format/int4.h"
#include "quant/scheme.h"

namespace rotor {

struct E2m1Rounding {
  static float value(float x) { return e2m1_round(x); }
  static uint8_t code(float rounded) { return e2m1_code(rounded); }
};

struct Int4Rounding {
  static float value(float x) { return int4_round(x); }
  static uint8_t code(float rounded) { return int4_code(rounded); }
};

/// Calls f with the rounding of the format.
template <typename F>
auto with_rounding(Format format, F&& f) {
  return format == Format::kInt4 ? f(Int4Rounding{}) : f(E2m1Rounding{});
}

}  // namespace rotor
