#include "ops/cli/state_dir.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::TemporaryDirectory;

TEST(DefaultStateDir, IsAHiddenSibling) {
  EXPECT_EQ(default_state_dir("/out/llama"), "/out/.llama.rotor");
}

TEST(StateDir, RefusesASecondRunAndNamesTheFirst) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a/b";
  {
    const Result<StateDir> first = StateDir::open(path);
    ASSERT_OK(first);
    const Result<StateDir> second = StateDir::open(path);
    EXPECT_FAILS(second, Code::kFailedPrecondition, "ALREADY_RUNNING", "another rotor quantize");
    EXPECT_EQ(second.status().details().at("process"), std::to_string(getpid()));
  }
  EXPECT_OK(StateDir::open(path));
}

TEST(StateDir, ForgetsTheCoordinatorsStateAlone) {
  const TemporaryDirectory directory;
  Result<StateDir> state = StateDir::open(directory.path());
  ASSERT_OK(state);
  std::filesystem::create_directories(state->coordinator_state() / "staging");
  directory.put("precious", "1");
  ASSERT_OK(state->forget());
  EXPECT_FALSE(std::filesystem::exists(state->coordinator_state()));
  EXPECT_TRUE(std::filesystem::exists(directory / "precious"));
  EXPECT_OK(state->forget());
}

TEST(StateDir, DiscardsWhatARunMadeAndNothingElse) {
  const TemporaryDirectory directory;
  const std::string path = directory / "state";
  {
    Result<StateDir> state = StateDir::open(path);
    ASSERT_OK(state);
    EXPECT_TRUE(state->fresh());
    std::filesystem::create_directories(state->coordinator_state());
    state->discard();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const std::string precious = directory.put("precious", "1");
  Result<StateDir> used = StateDir::open(directory.path());
  ASSERT_OK(used);
  EXPECT_FALSE(used->fresh());
  used->discard();
  EXPECT_TRUE(std::filesystem::exists(precious));
}

TEST(StateDir, SaysWhereItCannotBeMade) {
  const TemporaryDirectory directory;
  const std::string file = directory.put("file", "");
  const Result<StateDir> state = StateDir::open(file + "/state");
  EXPECT_NE(state.status().message().find(file), std::string::npos);
}

}  // namespace
}  // namespace rotor::cli
