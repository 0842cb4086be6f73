#include <gtest/gtest.h>

#include "coordinator/jobs/validate.h"

namespace rotor::coordinator {
namespace {

TEST(SpecDifferences, NamesEveryFieldWithBothValues) {
  v1::JobSpec before;
  before.set_format(v1::FORMAT_NVFP4);
  before.mutable_calibration()->add_files("a.txt");
  before.mutable_calibration()->set_sequences(128);
  before.set_rotation(16);
  v1::JobSpec now = before;
  EXPECT_TRUE(spec_differences(before, now).empty());
  now.set_format(v1::FORMAT_MXFP4);
  now.mutable_calibration()->add_files("b.txt");
  now.clear_rotation();
  now.add_overrides()->set_pattern("*.down_proj");
  const std::vector<std::string> differences = spec_differences(before, now);
  ASSERT_EQ(differences.size(), 4U);
  EXPECT_EQ(differences[0], "calibration.files: [\"a.txt\"] -> [\"a.txt\", \"b.txt\"]");
  EXPECT_EQ(differences[1], "format: FORMAT_NVFP4 -> FORMAT_MXFP4");
  EXPECT_EQ(differences[2], "rotation: 16 -> unset");
  EXPECT_EQ(differences[3].rfind("overrides: [] -> [", 0), 0U) << differences[3];
}

}  // namespace
}  // namespace rotor::coordinator
