#include "coordinator/staging/staging_area.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

TEST(StagingArea, KeepsWhatIsNamedAndRemovesTheRest) {
  const testing::TemporaryDirectory directory;
  FileSystem& fs = posix_file_system();
  StagingArea area(&fs, directory / "staging");
  ASSERT_OK(area.prepare_job("one"));
  ASSERT_OK(area.prepare_job("two"));
  const std::string kept = StagingArea::layer_file(3, 7);
  EXPECT_EQ(kept, "layer-00003.fence-7.safetensors");
  directory.put("staging/one/" + kept, "x");
  directory.put("staging/one/" + StagingArea::layer_file(3, 6) + ".partial", "x");
  ASSERT_OK(area.keep_files("one", {kept}));
  EXPECT_EQ(*fs.list(area.job_directory("one")), std::vector<std::string>{kept});
  ASSERT_OK(area.keep_jobs({"one"}));
  EXPECT_EQ(*fs.list(area.directory()), std::vector<std::string>{"one"});
  ASSERT_OK(area.remove_job("one"));
  EXPECT_TRUE(fs.list(area.directory())->empty());
  EXPECT_OK(area.keep_files("gone", {}));
}

}  // namespace
}  // namespace rotor::coordinator
