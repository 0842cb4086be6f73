#include "quant/format/e2m1.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rotor {
namespace {

/// The table of formats.md, written out.
int index_by_table(float magnitude) {
  if (magnitude <= 0.25F) return 0;
  if (magnitude < 0.75F) return 1;
  if (magnitude <= 1.25F) return 2;
  if (magnitude < 1.75F) return 3;
  if (magnitude <= 2.5F) return 4;
  if (magnitude < 3.5F) return 5;
  if (magnitude <= 5.0F) return 6;
  return 7;
}

uint8_t code_by_table(float value) {
  const int index = index_by_table(std::fabs(value));
  return static_cast<uint8_t>(std::signbit(value) && index != 0 ? index + 8 : index);
}

TEST(E2m1, EveryCodeDecodesAndComesBack) {
  const float magnitudes[] = {0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
  for (uint8_t code = 0; code < 16; ++code) {
    const float expected = (code & 8) != 0 ? -magnitudes[code & 7] : magnitudes[code & 7];
    EXPECT_EQ(e2m1_decode(code), expected);
    EXPECT_EQ(e2m1_encode(expected), code == 8 ? 0 : code);
  }
}

TEST(E2m1, FollowsTheTableOnAFineGridAndBesideEveryTie) {
  for (int i = -70000; i <= 70000; ++i) {
    const float grid = static_cast<float>(i) * 1e-4F;
    ASSERT_EQ(e2m1_encode(grid), code_by_table(grid)) << grid;
    const float dyadic = static_cast<float>(i) / 4096.0F;  // holds every tie exactly
    for (const float direction : {-100.0F, 0.0F, 100.0F}) {
      const float value = direction == 0.0F ? dyadic : std::nextafter(dyadic, direction);
      ASSERT_EQ(e2m1_encode(value), code_by_table(value)) << value;
      ASSERT_EQ(e2m1_decode(e2m1_encode(value)), e2m1_round(value)) << value;
    }
  }
}

TEST(E2m1, SaturatesAndNeverWritesNegativeZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {5.1F, 100.0F, 1e30F, std::numeric_limits<float>::max(), infinity}) {
    EXPECT_EQ(e2m1_encode(value), 7);
    EXPECT_EQ(e2m1_encode(-value), 15);
  }
  for (const float value : {-0.0F, -1e-45F, -1e-30F, -0.25F}) {
    EXPECT_EQ(e2m1_encode(value), 0);
    EXPECT_FALSE(std::signbit(e2m1_round(value)));
  }
}

}  // namespace
}  // namespace rotor
