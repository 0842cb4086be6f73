#include "ops/cli/did_you_mean.h"

#include <gtest/gtest.h>

#include <sstream>

#include "ops/cli/app.h"

namespace rotor::cli {
namespace {

TEST(DidYouMean, FindsTheNearestNameAndNoneThatIsFar) {
  const std::vector<std::string> names = {"jobs", "status", "submit", "--calibration"};
  EXPECT_EQ(nearest("jbos", names), "jobs");
  EXPECT_EQ(nearest("sumbit", names), "submit");
  EXPECT_EQ(nearest("--calibraton", names), "--calibration");
  EXPECT_EQ(nearest("jobs", names), "jobs");
  EXPECT_EQ(nearest("dance", names), "");
  EXPECT_EQ(nearest("", names), "");
}

std::string said(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(run(arguments, out, err, {}), 2);
  return out.str() + err.str();
}

TEST(DidYouMean, TellsOfCommandsAndOptions) {
  EXPECT_NE(said({"sumbit", "m"}).find("did you mean 'submit'"), std::string::npos);
  EXPECT_NE(said({"submit", "m", "--ouput", "x"}).find("did you mean '--output'"),
            std::string::npos);
  EXPECT_NE(said({"jobs", "--lmit=3"}).find("did you mean '--limit'"), std::string::npos);
  EXPECT_EQ(said({"submit"}).find("did you mean"), std::string::npos);
  EXPECT_EQ(said({"dance"}).find("did you mean"), std::string::npos);
}

}  // namespace
}  // namespace rotor::cli
