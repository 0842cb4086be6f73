#include "coordinator/observe/audit_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/observe/log_line.h"
#include "tests/support/captured_log.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

TEST(AuditLog, ALineIsOneLineOfAsciiWhateverIsInIt) {
  const AuditEntry entry{"alice\n{\"who\":\"bob\"}",
                         "ipv4:1.2.3.4:5",
                         "SubmitJob",
                         "\x1b[2J\xff\xc3\xa9",
                         "OK",
                         "",
                         0.5};
  const std::string line = audit_line(entry, "now");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  for (const char c : line.substr(0, line.size() - 1)) {
    EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  }
  EXPECT_EQ(nlohmann::json::parse(line)["who"], entry.who);
}

TEST(AuditLog, AddsLinesAndOutlastsAMoveOfItsFile) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/audit";
  AuditLog log(path);
  ASSERT_OK(log.check());
  log.add({"a", "", "one", "", "OK", "", 0});
  ASSERT_EQ(std::rename(path.c_str(), (path + ".1").c_str()), 0);
  log.add({"a", "", "two", "", "OK", "", 0});
  log.add({"a", "", "three", "", "OK", "", 0});
  EXPECT_EQ(lines_of(path + ".1").size(), 1U);
  ASSERT_EQ(lines_of(path).size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(lines_of(path)[1])["call"], "three");
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

TEST(AuditLog, ALineThatWasCutShortSpoilsNoOther) {
  const testing::TemporaryDirectory directory;
  AuditLog log(directory.path() + "/audit");
  log.add({"a", "", "one", "", "OK", "", 0});
  const auto size = static_cast<rlim_t>(std::filesystem::file_size(directory.path() + "/audit"));
  rlimit all{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &all), 0);
  const auto default_action = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit few{size + 10, all.rlim_max};
  testing::CapturedLog captured;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &few), 0);
  log.add({"a", "", "two", "", "OK", "", 0});
  log.add({"a", "", "three", "", "OK", "", 0});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &all), 0);
  std::signal(SIGXFSZ, default_action);
  log.add({"a", "", "four", "", "OK", "", 0});
  log.add({"a", "", "five", "", "OK", "", 0});
  const std::vector<std::string> lines = lines_of(directory.path() + "/audit");
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[1].size(), 10U);
  EXPECT_EQ(nlohmann::json::parse(lines[2])["call"], "four");
  EXPECT_EQ(nlohmann::json::parse(lines[3])["call"], "five");
  // What the file has not got, the log has.
  for (const char* lost : {"File too large", "\"two\"", "\"three\""}) {
    EXPECT_NE(captured.text().find(lost), std::string::npos) << captured.text();
  }
}

TEST(AuditLog, AFileThatCannotBeWrittenIsRefusedAtTheStart) {
  EXPECT_FAILS(AuditLog("/no/such/directory/audit").check(), Code::kFailedPrecondition,
               "BAD_CONFIGURATION", "audit-log");
  ASSERT_OK(AuditLog("").check());
}

TEST(LogTime, IsUtcWithMilliseconds) {
  const std::chrono::system_clock::time_point time(std::chrono::milliseconds(1'769'860'800'007));
  EXPECT_EQ(log_time(time), "2026-01-31T12:00:00.007Z");
}

}  // namespace
}  // namespace rotor::coordinator
