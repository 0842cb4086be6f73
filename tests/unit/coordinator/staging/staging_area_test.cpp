#include "coordinator/staging/staging_area.h"

#include <gtest/gtest.h>

#include "coordinator/staging/owned_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

TEST(StagingArea, KeepsWhatIsNamedAndRemovesOtherLayers) {
  const testing::TemporaryDirectory directory;
  FileSystem& fs = posix_file_system();
  StagingArea area(&fs, directory / "staging");
  ASSERT_OK(area.prepare_job("one"));
  ASSERT_OK(area.prepare_job("two"));
  const std::string kept = StagingArea::layer_file(3, 7);
  EXPECT_EQ(kept, "layer-00003.fence-7.safetensors");
  directory.put("staging/one/" + kept, "x");
  directory.put("staging/one/notes", "a person's");
  directory.put("staging/one/" + StagingArea::layer_file(3, 6) + ".partial", "x");
  EXPECT_EQ(area.layer_files("one")->size(), 2U);
  ASSERT_OK(area.keep_files("one", {kept}));
  EXPECT_EQ(*fs.list(area.job_directory("one")),
            (std::vector<std::string>{kOwnerFile, kept, "notes"}));
  EXPECT_EQ(area.layer_files("one")->front().fence, 7);
  ASSERT_OK(area.remove_job("one"));
  EXPECT_EQ(*area.job_directories(), std::vector<std::string>{"two"});
  EXPECT_OK(area.remove_job("gone"));
}

TEST(StagingArea, TakesOverADirectoryOfAnOlderProgram) {
  const testing::TemporaryDirectory directory;
  FileSystem& fs = posix_file_system();
  StagingArea area(&fs, directory / "staging");
  ASSERT_OK(create_directories(fs, area.job_directory("one")));
  directory.put("staging/one/" + StagingArea::layer_file(0, 1), "x");
  ASSERT_OK(area.prepare_job("one"));
  EXPECT_EQ(area.layer_files("one")->size(), 1U);
  EXPECT_OK(area.remove_job("one"));
  EXPECT_TRUE(area.job_directories()->empty());
}

}  // namespace
}  // namespace rotor::coordinator
