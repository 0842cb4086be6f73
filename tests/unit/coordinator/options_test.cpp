#include "coordinator/options.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "quant/base/exit_codes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

ParsedCommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "rotor-coordinator");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, AreReadFromTheCommandLine) {
  const ParsedCommandLine parsed =
      parse({"--state-dir", "/s", "--model-root", "/m", "--output-root", "/o", "--data-root", "/a",
             "--data-root", "/b", "--listen", "0.0.0.0:0", "--lease-seconds", "7.5",
             "--max-lost-leases", "2"});
  ASSERT_FALSE(parsed.exit_code.has_value()) << parsed.text;
  EXPECT_EQ(parsed.options.state_dir, "/s");
  EXPECT_EQ(parsed.options.data_roots, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(parsed.options.listen, "0.0.0.0:0");
  EXPECT_EQ(parsed.options.lease_seconds, 7.5);
  EXPECT_EQ(parsed.options.heartbeat_seconds, 3.0);
  EXPECT_EQ(parsed.options.most_lost_leases, 2);
}

TEST(Options, WrongUsageIsExitCode2AndHelpIs0) {
  EXPECT_EQ(parse({"--no-such-option"}).exit_code, kExitUsage);
  EXPECT_EQ(parse({"--state-dir", "/s"}).exit_code, kExitUsage);
  EXPECT_EQ(parse({"--max-lost-leases", "0"}).exit_code, kExitUsage);
  EXPECT_EQ(parse({"--help"}).exit_code, kExitDone);
  EXPECT_NE(parse({"--help"}).text.find("--output-root"), std::string::npos);
}

TEST(Options, DurationsHaveUnits) {
  const auto retain = [](const char* text) {
    return parse(
        {"--state-dir", "/s", "--model-root", "/m", "--output-root", "/o", "--retain", text});
  };
  EXPECT_EQ(retain("30d").options.retain_seconds, 30.0 * 86400);
  EXPECT_EQ(retain("90m").options.retain_seconds, 5400.0);
  for (const char* wrong : {"30", "x", "5w", ""}) {
    EXPECT_EQ(retain(wrong).exit_code, kExitUsage) << wrong;
  }
}

TEST(Options, WhatIsServedWithoutTokensStaysOnThisHost) {
  for (std::string CoordinatorOptions::*address :
       {&CoordinatorOptions::metrics_listen, &CoordinatorOptions::status_listen}) {
    CoordinatorOptions options;
    options.*address = "0.0.0.0:9100";
    EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION", "proxy");
    options.insecure = true;
    EXPECT_OK(check_listeners(options));
    options.*address = "127.0.0.1";
    EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION", "PORT");
  }
}

class OptionsCheck : public ::testing::Test {
 protected:
  OptionsCheck() {
    options_.state_dir = directory_ / "state";
    options_.model_root = directory_.path();
    options_.output_root = directory_.path();
  }
  testing::TemporaryDirectory directory_;
  CoordinatorOptions options_;
};

TEST_F(OptionsCheck, MakesTheStateDirectory) {
  ASSERT_OK(check_options(options_));
  struct stat made {};
  EXPECT_EQ(::stat((directory_ / "state").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0700U);
}

TEST_F(OptionsCheck, NamesTheOptionThatIsWrong) {
  CoordinatorOptions options = options_;
  options.model_root = directory_ / "missing";
  EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--model-root " + (directory_ / "missing"));
  options = options_;
  options.output_root = directory_.put("file", "x");
  EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--output-root");
  options = options_;
  options.lease_seconds = 4.0;
  EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--lease-seconds");
  options = options_;
  for (const char* bad : {"0.0.0.0:70000", "0.0.0.0:http", "0.0.0.0:-1", "0.0.0.0:123456789012"}) {
    options.listen = bad;
    EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
                 "--listen");
  }
  options.listen = "7470";
  EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION", "--listen");
  options = options_;
  options.state_dir = directory_.put("other", "x") + "/state";
  EXPECT_FAILS(check_options(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--state-dir");
}

// faults.31
TEST(Listeners, Faults31_OtherHostsFindTlsAndTokensOrConsent) {
  CoordinatorOptions options;
  options.listen = "127.0.0.1:0";
  EXPECT_OK(check_listeners(options));
  options.worker_listen = "0.0.0.0:0";
  EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--worker-listen");
  for (const char* elsewhere : {"0.0.0.0:1", "[::]:1", "10.0.0.7:1", "127.evil.example:1"}) {
    options = CoordinatorOptions();
    options.listen = elsewhere;
    EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
                 "--tls-cert");
    options.insecure = true;
    EXPECT_OK(check_listeners(options));
    options.insecure = false;
    options.tls_cert = options.tls_key = "server.pem";
    EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
                 "--tokens");
    options.tokens = "tokens";
    EXPECT_OK(check_listeners(options));
  }
  options.tls_key = "";
  EXPECT_FAILS(check_listeners(options), Code::kFailedPrecondition, "BAD_CONFIGURATION",
               "--tls-key");
}

TEST(Options, AreReadFromAFile) {
  testing::TemporaryDirectory directory;
  directory.put("rotor.toml",
                "state-dir = \"/s\"\nmodel-root = \"/m\"\noutput-root = \"/o\"\n"
                "data-root = [\"/a\", \"/b\"]\ntokens = \"/t\"\ninsecure = true\n");
  const std::string file = directory / "rotor.toml";
  const ParsedCommandLine parsed = parse({"--config", file.c_str(), "--model-root", "/other"});
  ASSERT_FALSE(parsed.exit_code.has_value()) << parsed.text;
  EXPECT_EQ(parsed.options.data_roots, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(parsed.options.tokens, "/t");
  EXPECT_EQ(parsed.options.model_root, "/other");
  EXPECT_TRUE(parsed.options.insecure);
}

}  // namespace
}  // namespace rotor::coordinator
