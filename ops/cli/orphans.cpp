// Finding the children that a killed mpirun left behind.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "ops/cli/process.h"

namespace rotor::cli {
namespace {

/// Parent of a process by /proc/PID/stat; 0 where it has gone.
pid_t parent_of(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // "PID (name) state ppid ...", and the name may hold blanks and parentheses.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= text.size()) {
    return 0;
  }
  return std::atoi(text.c_str() + name_end + 4);
}

std::vector<pid_t> children() {
  std::vector<pid_t> result;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (std::all_of(name.begin(), name.end(),
                    [](unsigned char c) { return std::isdigit(c) != 0; }) &&
        parent_of(entry.path()) == getpid()) {
      result.push_back(std::atoi(name.c_str()));
    }
  }
  return result;
}

}  // namespace

void adopt_orphans() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void kill_orphans() {
  // A killed orphan's own children become ours in turn.
  for (bool found = true; found;) {
    found = false;
    for (const pid_t pid : children()) {
      if (!living_children().contains(pid)) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        found = true;
      }
    }
  }
}

}  // namespace rotor::cli
