#include "ops/cli/temporary_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>

namespace rotor::cli {
namespace {

namespace fs = std::filesystem;

/// $TMPDIR for as long as it lives.
class TmpDir {
 public:
  explicit TmpDir(const std::string& path) {
    const char* before = std::getenv("TMPDIR");
    before_ = before == nullptr ? std::nullopt : std::optional<std::string>(before);
    ::setenv("TMPDIR", path.c_str(), 1);
  }
  ~TmpDir() {
    if (before_) {
      ::setenv("TMPDIR", before_->c_str(), 1);
    } else {
      ::unsetenv("TMPDIR");
    }
  }
  TmpDir(const TmpDir&) = delete;
  TmpDir& operator=(const TmpDir&) = delete;

 private:
  std::optional<std::string> before_;
};

TEST(TemporaryFolder, GoesWithAllThatIsInIt) {
  fs::path path;
  {
    const Result<TemporaryFolder> folder = TemporaryFolder::make();
    ASSERT_TRUE(folder.ok());
    path = folder->path();
    fs::create_directories(path / "a" / "b");
    std::ofstream(path / "a" / "file") << "text";
    const auto others = fs::perms::group_all | fs::perms::others_all;
    EXPECT_EQ(fs::status(path).permissions() & others, fs::perms::none);
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TemporaryFolder, SaysWhereItCannotBe) {
  const TmpDir nowhere("/no/such/folder");
  const Result<TemporaryFolder> folder = TemporaryFolder::make();
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.status().message().find("TMPDIR"), std::string::npos)
      << folder.status().message();
}

}  // namespace
}  // namespace rotor::cli
