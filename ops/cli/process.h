// Child programs: started with fork and exec, in a process group of their own, and never outliving
// this one: the kernel signals them when it dies, and the destructor kills their group.
//
// Thread-safety: one thread, which must live as long as the children do (the kernel ties their
// death signal to the thread that started them).
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::cli {

struct ExitStatus {
  bool signaled = false;
  int code = 0;  // exit code, or the signal's number

  bool success() const { return !signaled && code == 0; }
  /// "exit code 1", "killed by signal 9 (Killed)"
  std::string text() const;
};

struct Command {
  std::vector<std::string> argv;  // [0] is a path, not searched in PATH
  std::filesystem::path log;      // stdout and stderr are appended here
  int death_signal = SIGKILL;     // what the child gets when this process dies
};

class ChildProcess {
 public:
  /// stdin is /dev/null. Errors: the log cannot be opened, fork failed, or the program cannot be
  /// executed.
  static Result<ChildProcess> start(const Command& command);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  /// Kills the group and waits for the child.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  /// Its end, if it has ended; the same answer ever after. What is left of its group is killed
  /// then.
  std::optional<ExitStatus> poll();
  /// As poll, waiting up to `seconds`.
  std::optional<ExitStatus> wait_for(double seconds);
  /// To the child alone, not its group; nothing once it has ended.
  void signal(int number);
  /// SIGKILL to the whole group, and waits for the child.
  void kill_group();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
  std::optional<ExitStatus> ended_;
};

struct Captured {
  ExitStatus status;
  std::string out;
};

/// The children that ChildProcess objects stand for and that were not reaped yet.
std::set<pid_t>& living_children();

/// Runs a program in the foreground (this process group, this terminal, this stderr) and returns
/// what it wrote to stdout.
Result<Captured> run_captured(const std::vector<std::string>& argv);

/// Makes orphans of our children ours, so that kill_orphans finds them: when mpirun is killed,
/// its ranks would otherwise run on under init.
void adopt_orphans();
/// Kills and reaps every child of this process that no ChildProcess stands for.
void kill_orphans();

}  // namespace rotor::cli
