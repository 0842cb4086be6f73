#include "quant/base/units.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(ParseSize, TakesBytesAndUnits) {
  const std::pair<const char*, int64_t> cases[] = {{"4096", 4096},
                                                   {"4096B", 4096},
                                                   {"5GB", 5'000'000'000},
                                                   {"500 MB", 500000000},
                                                   {"500mb", 500000000},
                                                   {"1.5GiB", 1610612736},
                                                   {"2k", 2000},
                                                   {"2KiB", 2048},
                                                   {"1T", 1'000'000'000'000},
                                                   {"1TiB", int64_t{1} << 40},
                                                   {"0.5kb", 500}};
  for (const auto& [text, bytes] : cases) {
    const Result<int64_t> size = parse_size(text);
    ASSERT_TRUE(size.ok()) << text;
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const char* text : {"", "GB", "0", "-5GB", "5XB", "1e9", "inf", "nan", "0x10", "1.2.3GB",
                           "0.1B", "99999999999TB", "5GB5"}) {
    EXPECT_FAILS(parse_size(text), Code::kInvalidArgument, "", text);
  }
}

TEST(FormatBytes, PicksTheUnit) {
  EXPECT_EQ(format_bytes(812), "812 B");
  EXPECT_EQ(format_bytes(1500), "1.5 kB");
  EXPECT_EQ(format_bytes(34'500'000), "34.5 MB");
  EXPECT_EQ(format_bytes(5'000'000'000), "5.0 GB");
  EXPECT_EQ(format_bytes(1'200'000'000'000), "1.2 TB");
}

TEST(FormatDuration, PicksTheUnit) {
  EXPECT_EQ(format_duration(-1), "0.0 s");
  EXPECT_EQ(format_duration(0.84), "0.8 s");
  EXPECT_EQ(format_duration(33.6), "34 s");
  EXPECT_EQ(format_duration(59.7), "1m00s");
  EXPECT_EQ(format_duration(125), "2m05s");
  EXPECT_EQ(format_duration(3 * 3600 + 12 * 60 + 59), "3h12m");
}

TEST(FormatNumber, WritesAsPrintfDoes) {
  EXPECT_EQ(format_number("%.3e", 0.00125), "1.250e-03");
  EXPECT_EQ(format_number("%.2fx", 1.5), "1.50x");
}

}  // namespace
}  // namespace rotor
