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
  EXPECT_NE(said({"--ouput-format", "json", "jobs"}).find("did you mean '--output-format'"),
            std::string::npos);
  EXPECT_NE(said({"--verison"}).find("did you mean '--version'"), std::string::npos);
}

TEST(DidYouMean, SaysNothingWhereNoWordIsUnknown) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"submit"},
           {"dance"},
           {"--config", "jbos"},
           {"--output-format", "xml"},
           {"jobs", "--coordinator=--timout", "--limit", "x"},
           {"submit", "m", "--output", "o", "--ignore", "--calibraton", "--seq-len", "x"},
           {"--limit", "3", "jobs"},
           {"jobs", "status"}}) {
    EXPECT_EQ(said(arguments).find("did you mean"), std::string::npos)
        << ::testing::PrintToString(arguments);
  }
}

}  // namespace
}  // namespace rotor::cli
