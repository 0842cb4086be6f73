#include "model/tokenizer/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace rotor {
namespace {

std::string encode(uint32_t point) {
  std::string out;
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
  return out;
}

TEST(Utf8, TakesEveryCharacterAndNoSurrogate) {
  for (uint32_t point = 0; point < 0x120000; ++point) {
    const std::string text = encode(point);
    const bool valid = point < 0x110000 && (point < 0xD800 || point > 0xDFFF);
    ASSERT_EQ(valid_utf8_prefix(text), valid ? text.size() : 0) << point;
    if (valid) {
      ASSERT_EQ(utf8_length_at(text, 0), text.size()) << point;
      ASSERT_EQ(utf8_code_point_at(text, 0), point);
    }
  }
}

TEST(Utf8, RefusesOverlongAndTruncatedForms) {
  for (const std::string bad : {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\x80",
                                "\xFF", "\xC3", "\xE4\xB8", "\xF0\x9F\x98", "\xC3(", "\xE4\xB8("}) {
    EXPECT_EQ(valid_utf8_prefix("0123456789" + bad), 10U) << bad;
    EXPECT_EQ(valid_utf8_prefix("é" + bad + "0123456789"), 2U) << bad;
  }
}

TEST(Utf8, FindsTheBoundaryBefore) {
  const std::string text = "a中b";
  EXPECT_EQ(utf8_boundary_before(text, 0), 0U);
  EXPECT_EQ(utf8_boundary_before(text, 1), 1U);
  EXPECT_EQ(utf8_boundary_before(text, 3), 1U);
  EXPECT_EQ(utf8_boundary_before(text, 4), 4U);
  EXPECT_EQ(utf8_boundary_before(text, 5), 5U);
}

}  // namespace
}  // namespace rotor
