// The program rotor-coordinator: exit codes, its port file, and kill -9 in the middle of a job.
#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "proto/errors.h"
#include "quant/base/exit_codes.h"
#include "quant/checkpoint/verify.h"
#include "rotor/v1/jobs.grpc.pb.h"
#include "tests/support/coordinator/demo_job.h"
#include "tests/support/coordinator/rpc_worker.h"
#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

using std::chrono::milliseconds;

/// The program as a child; killed by the destructor.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, std::string log) : log_(std::move(log)) {
    pid_ = ::fork();
    if (pid_ == 0) {
      const int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(fd, STDERR_FILENO);
      ::dup2(fd, STDOUT_FILENO);
      std::vector<char*> argv{const_cast<char*>(ROTOR_COORDINATOR_PROGRAM)};
      for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
      }
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~Program() {
    signal(SIGKILL);
    wait();
  }
  void signal(int number) const {
    if (pid_ > 0) {
      ::kill(pid_, number);
    }
  }
  /// The exit code, or minus the signal that ended it.
  int wait() {
    if (pid_ > 0) {
      int status = 0;
      ::waitpid(pid_, &status, 0);
      pid_ = -1;
      result_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    return result_;
  }
  std::string output() const { return testing::file_bytes(log_); }
  pid_t pid() const { return pid_; }

 private:
  std::string log_;
  pid_t pid_ = -1;
  int result_ = 0;
};

class ProgramTest : public ::testing::Test {
 protected:
  std::vector<std::string> arguments(const std::string& listen = "127.0.0.1:0") {
    return {"--state-dir",   demo_.state(),
            "--listen",      listen,
            "--port-file",   port_file_,
            "--model-root",  demo_.root() / "models",
            "--output-root", demo_.root() / "outputs",
            "--data-root",   demo_.root() / "data"};
  }

  std::unique_ptr<Program> start(const std::string& listen = "127.0.0.1:0") {
    std::filesystem::remove(port_file_);
    auto program = std::make_unique<Program>(arguments(listen), demo_.root() / "log");
    for (int i = 0; i < 1000 && !std::filesystem::exists(port_file_); ++i) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    std::ifstream(port_file_) >> port_;
    EXPECT_GT(port_, 0) << program->output();
    return program;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  v1::Job submit() {
    const auto stub =
        v1::Jobs::NewStub(grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = stub->SubmitJob(&context, demo_.request("r1"), &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  testing::DemoJob demo_;
  std::string port_file_ = demo_.root() / "port";
  int port_ = 0;
};

TEST_F(ProgramTest, StopsCleanlyOnSigterm) {
  const auto program = start();
  submit();
  program->signal(SIGTERM);
  EXPECT_EQ(program->wait(), kExitDone) << program->output();
}

// faults.07
TEST_F(ProgramTest, Faults07_ASecondOneRefusesAndSaysWhoHoldsTheDirectory) {
  const auto first = start();
  Program second(arguments(), demo_.root() / "log2");
  EXPECT_EQ(second.wait(), kExitConfiguration);
  EXPECT_NE(second.output().find("pid " + std::to_string(first->pid())), std::string::npos)
      << second.output();
}

TEST_F(ProgramTest, WrongUsageAndWrongConfigurationHaveTheirCodes) {
  Program usage({"--nonsense"}, demo_.root() / "log2");
  EXPECT_EQ(usage.wait(), kExitUsage);
  std::vector<std::string> missing = arguments();
  missing[7] = demo_.root() / "missing";
  Program configuration(missing, demo_.root() / "log3");
  EXPECT_EQ(configuration.wait(), kExitConfiguration);
  EXPECT_NE(configuration.output().find("--model-root"), std::string::npos);
  const auto first = start();
  std::vector<std::string> taken = arguments(address());
  taken[1] = demo_.root() / "other-state";
  Program port(taken, demo_.root() / "log4");
  EXPECT_EQ(port.wait(), kExitConfiguration);
  EXPECT_NE(port.output().find("port is in use"), std::string::npos) << port.output();
}

// faults.01
TEST_F(ProgramTest, Faults01_KilledAgainAndAgainTheJobGoesOnToItsEnd) {
  auto program = start();
  const std::string listen = address();
  const v1::Job job = submit();
  testing::RpcWorker worker(listen, "g");
  for (int kill = 0; kill < 4; ++kill) {
    std::this_thread::sleep_for(milliseconds(150 + 130 * kill));
    program->signal(SIGKILL);
    program->wait();
    program = start(listen);
  }
  const auto stub =
      v1::Jobs::NewStub(grpc::CreateChannel(listen, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::WatchJobRequest request;
  request.set_name(job.name());
  const auto reader = stub->WatchJob(&context, request);
  v1::JobEvent event;
  int64_t revision = 0;
  int commits = 0;
  while (reader->Read(&event)) {
    EXPECT_EQ(event.revision(), ++revision);
    commits += event.has_committed() ? 1 : 0;
  }
  EXPECT_OK(from_grpc(reader->Finish()));
  EXPECT_EQ(event.state().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(commits, 4);
  SerialParallel serial;
  const auto report = verify_checkpoint(posix_file_system(), demo_.output(), serial);
  ASSERT_OK(report);
  EXPECT_TRUE(report->ok());
}

}  // namespace
}  // namespace rotor::coordinator
