#include "ops/cli/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::file_bytes;
using testing::TemporaryDirectory;

Command shell(const TemporaryDirectory& directory, const std::string& script) {
  return {{"/bin/sh", "-c", script}, directory / "log", SIGKILL};
}

bool alive(pid_t pid) {
  return kill(pid, 0) == 0;
}

/// Waits for a file that a child writes, and reads a process id from it.
pid_t read_pid(const std::string& path) {
  for (int i = 0; i < 500; ++i) {
    std::ifstream file(path);
    pid_t pid = 0;
    std::string end;
    if (file >> pid >> end) {
      return pid;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

bool gone_soon(pid_t pid) {
  for (int i = 0; i < 500 && alive(pid); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !alive(pid);
}

TEST(ChildProcess, TellsHowItEnded) {
  const TemporaryDirectory directory;
  Result<ChildProcess> child =
      ChildProcess::start(shell(directory, "echo out; echo err >&2; exit 7"));
  ASSERT_OK(child);
  const std::optional<ExitStatus> ended = child->wait_for(10);
  ASSERT_TRUE(ended.has_value());
  EXPECT_FALSE(ended->success());
  EXPECT_EQ(ended->text(), "exit code 7");
  EXPECT_EQ(file_bytes(directory / "log"), "out\nerr\n");
  EXPECT_EQ(child->poll()->code, 7);
}

TEST(ChildProcess, TellsTheSignal) {
  const TemporaryDirectory directory;
  Result<ChildProcess> child = ChildProcess::start(shell(directory, "sleep 60"));
  ASSERT_OK(child);
  EXPECT_FALSE(child->poll().has_value());
  child->signal(SIGTERM);
  const std::optional<ExitStatus> ended = child->wait_for(10);
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->text(), "killed by signal 15 (Terminated)");
}

TEST(ChildProcess, AProgramThatCannotRunIsAnError) {
  const TemporaryDirectory directory;
  const Result<ChildProcess> child =
      ChildProcess::start({{directory / "none"}, directory / "log", SIGKILL});
  EXPECT_FAILS(child, Code::kNotFound, "FILE_NOT_FOUND", "none");
}

TEST(ChildProcess, TakesItsGroupAlong) {
  const TemporaryDirectory directory;
  const std::string file = directory / "pid";
  pid_t grandchild = 0;
  {
    Result<ChildProcess> child =
        ChildProcess::start(shell(directory, "sleep 60 & echo $! end > " + file + "; wait"));
    ASSERT_OK(child);
    grandchild = read_pid(file);
    ASSERT_TRUE(alive(grandchild));
  }
  EXPECT_TRUE(gone_soon(grandchild));
}

TEST(ChildProcess, DiesWithItsParent) {
  const TemporaryDirectory directory;
  const std::string file = directory / "pid";
  const pid_t parent = fork();
  if (parent == 0) {
    Result<ChildProcess> child =
        ChildProcess::start(shell(directory, "echo $$ end > " + file + "; sleep 60"));
    read_pid(file);
    kill(getpid(), SIGKILL);
  }
  waitpid(parent, nullptr, 0);
  const pid_t child = read_pid(file);
  ASSERT_GT(child, 0);
  EXPECT_TRUE(gone_soon(child));
}

TEST(KillOrphans, FindsWhatAKilledChildLeftInItsOwnGroup) {
  adopt_orphans();
  const TemporaryDirectory directory;
  const std::string file = directory / "pid";
  Result<ChildProcess> spared = ChildProcess::start(shell(directory, "sleep 60"));
  Result<ChildProcess> child = ChildProcess::start(
      shell(directory, "setsid sh -c 'echo $$ end > " + file + "; sleep 60' & wait"));
  ASSERT_OK(child);
  const pid_t orphan = read_pid(file);
  ASSERT_TRUE(alive(orphan));
  child->kill_group();
  EXPECT_TRUE(alive(orphan));
  kill_orphans();
  EXPECT_FALSE(alive(orphan));
  EXPECT_FALSE(spared->poll().has_value());
}

TEST(RunCaptured, GivesStdoutAndStatus) {
  const Result<Captured> captured = run_captured({"/bin/sh", "-c", "echo result; exit 3"});
  ASSERT_OK(captured);
  EXPECT_EQ(captured->out, "result\n");
  EXPECT_EQ(captured->status.code, 3);
  EXPECT_FAILS(run_captured({"/no/such/program"}), Code::kNotFound, "FILE_NOT_FOUND",
               "/no/such/program");
}

}  // namespace
}  // namespace rotor::cli
