#include "ops/cli/console.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace rotor::cli {
namespace {

Status sample() {
  return not_found("no job jobs/9")
      .with_reason("NO_SUCH_JOB")
      .with_detail("job", "jobs/9")
      .with_detail("log-end", "one\ntwo");
}

TEST(Console, PrintsErrorsForPeople) {
  std::ostringstream out;
  std::ostringstream err;
  Console console(out, err, OutputFormat::kHuman, Terminal{});
  EXPECT_EQ(console.fail(sample()), 2);
  EXPECT_EQ(err.str(), "error: no job jobs/9\n  job: jobs/9\n  log-end:\none\ntwo\n");
  EXPECT_EQ(out.str(), "");
}

TEST(Console, PrintsErrorsForScripts) {
  std::ostringstream out;
  std::ostringstream err;
  Console console(out, err, OutputFormat::kJson, Terminal{});
  EXPECT_EQ(console.fail(sample()), 2);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["error"]["code"], "NOT_FOUND");
  EXPECT_EQ(json["error"]["reason"], "NO_SUCH_JOB");
  EXPECT_EQ(json["error"]["message"], "no job jobs/9");
  EXPECT_EQ(json["error"]["details"]["job"], "jobs/9");
  EXPECT_EQ(err.str(), "");
}

TEST(Console, JsonStaysJsonWhereTextIsNotUtf8) {
  std::ostringstream out;
  Console console(out, out, OutputFormat::kJson, Terminal{});
  console.write_json({{"path", "a\xFF"}});
  EXPECT_TRUE(nlohmann::json::accept(out.str()));
}

TEST(Console, ANoteEndsTheBar) {
  std::ostringstream err;
  Console console(err, err, OutputFormat::kHuman, Terminal{true, false, 80});
  console.draw_bar("half");
  console.note("done");
  EXPECT_EQ(err.str(), "\r\x1b[Khalf\r\x1b[Kdone\n");
}

TEST(Console, ColorsOnlyTerminals) {
  std::ostringstream out;
  EXPECT_EQ(Console(out, out, OutputFormat::kHuman, Terminal{}).bold("x"), "x");
  EXPECT_EQ(Console(out, out, OutputFormat::kHuman, Terminal{false, true, 80}).bold("x"),
            "\x1b[1mx\x1b[0m");
}

TEST(DetectTerminal, HonoursNoColorAndDumbTerminals) {
  setenv("NO_COLOR", "1", 1);
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(detect_terminal().color);
  EXPECT_FALSE(detect_terminal().progress_bar);
}

}  // namespace
}  // namespace rotor::cli
