#include "quant/io/rooted.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string>

#include "quant/io/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

class Rooted : public ::testing::Test {
 protected:
  void SetUp() override {
    FileSystem& fs = posix_file_system();
    ASSERT_OK(create_directories(fs, root() + "/models/small"));
    ASSERT_OK(create_directories(fs, dir_ / "secret"));
    dir_.put("root/models/small/config.json", "{}");
    link("small", "models/inside");
    link("../../secret", "models/outside");
    link(dir_ / "secret", "models/absolute");
    link("loop", "loop");
    char buffer[PATH_MAX];
    ASSERT_NE(::realpath(root().c_str(), buffer), nullptr);
    real_root_ = buffer;
  }
  std::string root() const { return dir_ / "root"; }
  void link(const std::string& target, const std::string& name) const {
    ASSERT_EQ(::symlink(target.c_str(), (root() + "/" + name).c_str()), 0);
  }

  testing::TemporaryDirectory dir_;
  std::string real_root_;
};

TEST_F(Rooted, ResolvesWhatLiesBelow) {
  const std::string real = real_root_ + "/models/small";
  for (const std::string& path :
       {std::string("models/small"), std::string("models/small/"), std::string("models/inside"),
        std::string("./models/../models/small"), root() + "/models/small",
        real_root_ + "/models//inside"}) {
    const auto resolved = resolve_beneath(root(), path);
    ASSERT_OK(resolved);
    EXPECT_EQ(*resolved, real) << path;
  }
  EXPECT_EQ(*resolve_beneath(root(), "."), real_root_);
  EXPECT_EQ(*resolve_beneath(root() + "/", root()), real_root_);
  EXPECT_EQ(*resolve_beneath("/", real), real);
  EXPECT_EQ(*resolve_beneath(root(), "models/small/config.json", PathKind::kRegularFile),
            real + "/config.json");
}

// faults.25
TEST_F(Rooted, Faults25_ASymlinkToTheRootIsAnotherSpellingOfIt) {
  const std::string spelling = dir_ / "scratch";
  ASSERT_EQ(::symlink(root().c_str(), spelling.c_str()), 0);
  link(spelling + "/models/small", "models/through");
  const std::string real = real_root_ + "/models/small";
  for (const std::string& path : {spelling + "/models/small", spelling + "/models/through",
                                  std::string("models/through"), root() + "/models/small"}) {
    for (const std::string& as : {root(), spelling}) {
      const auto resolved = resolve_beneath(as, path);
      ASSERT_OK(resolved);
      EXPECT_EQ(*resolved, real) << path;
    }
  }
  const auto fresh = resolve_new_beneath(root(), spelling + "/models/new");
  ASSERT_OK(fresh);
  EXPECT_EQ(*fresh, real_root_ + "/models/new");
  EXPECT_FAILS(resolve_beneath(root(), spelling + "/models/outside"), Code::kInvalidArgument,
               "PATH_REFUSED", "outside the root");
  EXPECT_FAILS(resolve_beneath(root(), spelling + "/../secret"), Code::kInvalidArgument,
               "PATH_REFUSED", "outside the root");
}

// faults.25
TEST_F(Rooted, Faults25_RefusesWhatLeavesTheRoot) {
  const std::string bad[] = {"",
                             std::string("models\0/small", 13),
                             "..",
                             "../secret",
                             "models/../../secret",
                             "/etc",
                             dir_ / "secret",
                             root() + "/../secret",
                             root() + "-other",
                             "models/outside",
                             "models/absolute",
                             "loop"};
  for (const std::string& path : bad) {
    EXPECT_FAILS(resolve_beneath(root(), path), Code::kInvalidArgument, "PATH_REFUSED",
                 "name a path below " + root());
  }
}

// faults.25
TEST_F(Rooted, Faults25_RefusesOtherKinds) {
  ASSERT_EQ(::mkfifo((root() + "/fifo").c_str(), 0600), 0);
  EXPECT_FAILS(resolve_beneath(root(), "models/small/config.json"), Code::kInvalidArgument,
               "NOT_A_DIRECTORY", "config.json");
  for (const char* path : {"fifo", "models"}) {
    EXPECT_FAILS(resolve_beneath(root(), path, PathKind::kRegularFile), Code::kInvalidArgument,
                 "NOT_A_REGULAR_FILE", path);
  }
  EXPECT_EQ(resolve_beneath(root(), "absent").status().code(), Code::kNotFound);
}

TEST_F(Rooted, ResolvesWhatIsToBeCreated) {
  EXPECT_EQ(*resolve_new_beneath(root(), "models/new"), real_root_ + "/models/new");
  EXPECT_EQ(*resolve_new_beneath(root(), "new/"), real_root_ + "/new");
  EXPECT_EQ(*resolve_new_beneath(root(), root() + "/new"), real_root_ + "/new");
  EXPECT_EQ(*resolve_new_beneath(root(), "models/small"), real_root_ + "/models/small");
  EXPECT_EQ(*resolve_new_beneath(root(), "models/inside/x"), real_root_ + "/models/small/x");
}

// faults.25
TEST_F(Rooted, Faults25_RefusesToCreateOutside) {
  for (const std::string& path :
       {std::string(), std::string("."), std::string(".."), std::string("models/.."),
        std::string("../new"), std::string("models/outside/new"), dir_ / "new",
        std::string("models/inside"), std::string("new\0x", 5)}) {
    EXPECT_FAILS(resolve_new_beneath(root(), path), Code::kInvalidArgument, "PATH_REFUSED", "");
  }
  EXPECT_EQ(resolve_new_beneath(root(), "absent/new").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace rotor
