#include "coordinator/staging/owned_directory.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/faulty_file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

const Owner kMine{"mine", ""};

class OwnedDirectory : public ::testing::Test {
 protected:
  testing::TemporaryDirectory root_;
  FileSystem& fs_ = posix_file_system();
  std::string path_ = root_ / "partial";
};

// faults.35
TEST_F(OwnedDirectory, Faults35_RemovesWhatIsTheJobsAlone) {
  ASSERT_OK(make_owned_directory(fs_, path_, kMine));
  root_.put("partial/weights", "x");
  EXPECT_FAILS(remove_owned_directory(fs_, path_, {"other", ""}), Code::kAlreadyExists,
               "NOT_THIS_JOBS", path_);
  EXPECT_TRUE(std::filesystem::exists(path_ + "/weights"));
  EXPECT_FAILS(make_owned_directory(fs_, path_, {"other", ""}), Code::kAlreadyExists,
               "NOT_THIS_JOBS", path_);
  ASSERT_OK(remove_owned_directory(fs_, path_, kMine));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_OK(remove_owned_directory(fs_, path_, kMine));
}

// faults.35
TEST_F(OwnedDirectory, Faults35_LeavesAPersonsDirectoryFileOrLink) {
  std::filesystem::create_directory(path_);
  root_.put("partial/theirs", "x");
  EXPECT_FALSE(remove_owned_directory(fs_, path_, kMine).ok());
  EXPECT_FALSE(make_owned_directory(fs_, path_, kMine).ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/theirs"));
  std::filesystem::create_directory_symlink(path_, root_ / "link");
  root_.put("file", "x");
  for (const char* name : {"link", "file"}) {
    EXPECT_FALSE(remove_owned_directory(fs_, root_ / name, kMine).ok()) << name;
    EXPECT_FALSE(make_owned_directory(fs_, root_ / name, kMine).ok()) << name;
  }
}

TEST_F(OwnedDirectory, AnIdentityOnRecordStandsForTheOwnersFile) {
  ASSERT_OK(make_owned_directory(fs_, path_, kMine));
  root_.put("partial/weights", "x");
  const std::string identity = identity_of(*fs_.stat(path_));
  ASSERT_OK(disown_directory(fs_, path_));
  EXPECT_FALSE(remove_owned_directory(fs_, path_, kMine).ok());
  EXPECT_OK(remove_owned_directory(fs_, path_, {"mine", identity}));
}

// faults.01: a crash at any call of making or removing leaves what can be made and removed again.
TEST_F(OwnedDirectory, Faults01_ACrashAtAnyCallLeavesNoDirectoryBehindForGood) {
  for (int64_t step = 0; step < 40; ++step) {
    testing::FaultyFileSystem faulty;
    faulty.plan().fail_at = step;
    if (make_owned_directory(faulty, path_, kMine).ok()) {
      root_.put("partial/weights", "x");
      (void)remove_owned_directory(faulty, path_, kMine);
    }
    SCOPED_TRACE(step);
    ASSERT_OK(remove_owned_directory(fs_, path_, kMine));
    ASSERT_FALSE(std::filesystem::exists(path_));
  }
}

}  // namespace
}  // namespace rotor::coordinator
