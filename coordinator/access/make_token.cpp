#include "coordinator/access/make_token.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "coordinator/access/token_table.h"
#include "proto/transport/random_hex.h"
#include "quant/base/exit_codes.h"
#include "quant/base/sha256.h"

namespace rotor::coordinator {
namespace {

constexpr size_t kTokenBytes = 32;

/// One write at the end, so that two of them at once do not mix their lines.
Status append_line(const std::string& path, const std::string& line) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) {
    return errno_error(errno, "open", path);
  }
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return written ? Status() : errno_error(error, "write", path);
}

Status write_token(const std::string& file, const std::string& line) {
  ROTOR_ASSIGN_OR_RETURN(const std::string random, random_hex(kTokenBytes));
  const std::string token = "rotor-" + random;
  const size_t secret = line.find('?');
  const std::string whole =
      line.substr(0, secret) + "sha256:" + sha256_hex(token) + line.substr(secret + 1) + "\n";
  ROTOR_RETURN_IF_ERROR(TokenTable::parse(whole, "make-token").status());
  if (file.empty()) {
    std::fputs(whole.c_str(), stderr);
  } else {
    ROTOR_RETURN_IF_ERROR(append_line(file, whole));
  }
  std::printf("%s\n", token.c_str());
  return {};
}

}  // namespace

int make_token(int argc, const char* const* argv) {
  CLI::App app("Makes a token: prints it on stdout, and the line of the --tokens file on stderr.",
               "rotor-coordinator make-token");
  std::string name;
  std::string role;
  std::string file;
  std::string jobs;
  std::string model_root;
  std::vector<std::string> data_roots;
  std::string output_root;
  app.add_option("name", name, "Whose token it is")->required();
  app.add_option("--role", role, "read, submit, worker or admin")
      ->check(CLI::IsMember({"read", "submit", "worker", "admin"}))
      ->required();
  app.add_option("--tokens", file, "Add the line to this file instead of printing it");
  app.add_option("--jobs", jobs, "submit: jobs at most that have not ended");
  app.add_option("--model-root", model_root, "submit: models below this directory alone");
  app.add_option("--data-root", data_roots, "submit: calibration files below this one; repeatable");
  app.add_option("--output-root", output_root, "submit: checkpoints below this directory alone");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  std::string line = name + " " + role + " ?";
  const auto add = [&line](const char* key, const std::string& value) {
    line += value.empty() ? "" : std::string(" ") + key + "=" + value;
  };
  add("jobs", jobs);
  add("model-root", model_root);
  for (const std::string& root : data_roots) {
    add("data-root", root);
  }
  add("output-root", output_root);
  if (const Status made = write_token(file, line); !made.ok()) {
    std::fprintf(stderr, "rotor-coordinator make-token: %s\n", made.message().c_str());
    return exit_code_of(made.code());
  }
  return kExitDone;
}

}  // namespace rotor::coordinator
