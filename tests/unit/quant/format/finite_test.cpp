#include "quant/format/finite.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace rotor {
namespace {

TEST(FirstNonFinite, FindsEachPlaceAndKind) {
  std::vector<float> x(2500, std::numeric_limits<float>::max());
  EXPECT_EQ(first_non_finite(x.data(), 2500), -1);
  EXPECT_EQ(first_non_finite(x.data(), 0), -1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const int64_t at : {0, 1, 1023, 1024, 2499}) {
      std::vector<float> y = x;
      y[static_cast<size_t>(at)] = bad;
      y.back() = bad;
      EXPECT_EQ(first_non_finite(y.data(), 2500), at);
    }
  }
}

TEST(CheckFinite, NamesThePlace) {
  std::vector<float> x(12, 1.0F);
  EXPECT_TRUE(check_finite("weight", x.data(), 3, 4).ok());
  x[6] = std::numeric_limits<float>::infinity();
  const Status status = check_finite("weight", x.data(), 3, 4);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.reason(), "NOT_FINITE");
  EXPECT_EQ(status.details().at("row"), "1");
  EXPECT_EQ(status.details().at("column"), "2");
}

}  // namespace
}  // namespace rotor
