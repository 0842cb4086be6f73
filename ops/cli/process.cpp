#include "ops/cli/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace rotor::cli {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(20);

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) {
      close(std::exchange(fd_, -1));
    }
  }

 private:
  int fd_;
};

ExitStatus decode(int status) {
  return WIFSIGNALED(status) ? ExitStatus{true, WTERMSIG(status)}
                             : ExitStatus{false, WEXITSTATUS(status)};
}

std::vector<char*> pointers(const std::vector<std::string>& argv) {
  std::vector<char*> result;
  result.reserve(argv.size() + 1);
  for (const std::string& argument : argv) {
    result.push_back(const_cast<char*>(argument.c_str()));  // execv takes it so, and copies
  }
  result.push_back(nullptr);
  return result;
}

/// What a child does before it becomes its program: only calls that are safe after fork in a
/// process with threads. Never returns; an error number goes into `report`.
struct ChildSetup {
  int in;
  int out;
  int err;
  bool own_group;
  int death_signal;
  pid_t parent;
};

[[noreturn]] void become(const ChildSetup& setup, char* const* argv, int report) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE}) {
    ::signal(number, SIG_DFL);
  }
  if (setup.own_group) {
    setpgid(0, 0);
  }
  prctl(PR_SET_PDEATHSIG, setup.death_signal);
  // The parent may have died before the line above: then no signal comes any more.
  if (getppid() != setup.parent) {
    _exit(127);
  }
  if (dup2(setup.in, STDIN_FILENO) >= 0 && dup2(setup.out, STDOUT_FILENO) >= 0 &&
      dup2(setup.err, STDERR_FILENO) >= 0) {
    execv(argv[0], argv);
  }
  const int error = errno;
  if (write(report, &error, sizeof error) < 0) {
    _exit(126);
  }
  _exit(127);
}

/// Forks and executes; learns through a pipe that closes at exec whether that went well.
Result<pid_t> spawn(const std::vector<std::string>& argv, int in, int out, int err, bool own_group,
                    int death_signal) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    return errno_error(errno, "pipe", argv[0]);
  }
  FileDescriptor report_read(pipe_ends[0]);
  FileDescriptor report_write(pipe_ends[1]);
  const std::vector<char*> arguments = pointers(argv);
  const ChildSetup setup{in, out, err, own_group, death_signal, getpid()};
  const pid_t pid = fork();
  if (pid < 0) {
    return errno_error(errno, "fork", argv[0]);
  }
  if (pid == 0) {
    become(setup, arguments.data(), report_write.get());
  }
  report_write.reset();
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(report_read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof error)) {
    waitpid(pid, nullptr, 0);
    return errno_error(error, "cannot be executed", argv[0]);
  }
  return pid;
}

}  // namespace

std::set<pid_t>& living_children() {
  static std::set<pid_t> children;
  return children;
}

std::string ExitStatus::text() const {
  return signaled ? "killed by signal " + std::to_string(code) + " (" + strsignal(code) + ")"
                  : "exit code " + std::to_string(code);
}

Result<ChildProcess> ChildProcess::start(const Command& command) {
  const FileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null.get() < 0) {
    return errno_error(errno, "open", "/dev/null");
  }
  const FileDescriptor log(
      open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.get() < 0) {
    return errno_error(errno, "open", command.log.string());
  }
  ROTOR_ASSIGN_OR_RETURN(const pid_t pid, spawn(command.argv, null.get(), log.get(), log.get(),
                                                true, command.death_signal));
  living_children().insert(pid);
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), ended_(other.ended_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill_group();
    pid_ = std::exchange(other.pid_, -1);
    ended_ = other.ended_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  kill_group();
}

std::optional<ExitStatus> ChildProcess::poll() {
  siginfo_t info{};
  if (!ended_ && pid_ > 0 &&
      waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == pid_) {
    kill_group();
  }
  return ended_;
}

std::optional<ExitStatus> ChildProcess::wait_for(double seconds) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(seconds));
  while (!poll() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPollInterval);
  }
  return ended_;
}

void ChildProcess::signal(int number) {
  if (pid_ > 0 && !poll()) {
    kill(pid_, number);
  }
}

void ChildProcess::kill_group() {
  if (pid_ <= 0 || ended_) {
    return;
  }
  // The group can outlive its leader. Its number stays ours until the leader is reaped.
  kill(-pid_, SIGKILL);
  int status = 0;
  while (!ended_) {
    if (waitpid(pid_, &status, 0) == pid_) {
      ended_ = decode(status);
    } else if (errno != EINTR) {
      ended_ = ExitStatus{true, SIGKILL};
    }
  }
  living_children().erase(pid_);
}

Result<Captured> run_captured(const std::vector<std::string>& argv) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
    return errno_error(errno, "pipe", argv[0]);
  }
  FileDescriptor out_read(pipe_ends[0]);
  FileDescriptor out_write(pipe_ends[1]);
  ROTOR_ASSIGN_OR_RETURN(const pid_t pid,
                         spawn(argv, STDIN_FILENO, out_write.get(), STDERR_FILENO, false, SIGTERM));
  out_write.reset();
  Captured captured;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = read(out_read.get(), buffer.data(), buffer.size());
    if (got > 0) {
      captured.out.append(buffer.data(), static_cast<size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  captured.status = decode(status);
  return captured;
}

}  // namespace rotor::cli
