#include "quant/base/status_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rotor {
namespace {

TEST(StatusJson, GivesEveryErrorBack) {
  for (int code = 1; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    const Status error = Status(static_cast<Code>(code), "what \"happened\"\n")
                             .with_reason("A_REASON")
                             .with_detail("file", "/a/b")
                             .with_detail("line", "7");
    const Status back = error_from_json(nlohmann::ordered_json::parse(error_json(error).dump()));
    EXPECT_EQ(back.code(), error.code());
    EXPECT_EQ(back.message(), error.message());
    EXPECT_EQ(back.reason(), error.reason());
    EXPECT_EQ(back.details(), error.details());
  }
}

TEST(StatusJson, NamesWhatScriptsRead) {
  const auto json = error_json(not_found("no such file").with_detail("file", "x"));
  EXPECT_EQ(json.dump(),
            R"({"code":"NOT_FOUND","reason":"","message":"no such file","details":{"file":"x"}})");
}

TEST(StatusJson, TakesNothingElseForAnError) {
  for (const char* text : {"null", "[]", "{}", "3", R"({"code": 3})", R"({"code": "OK"})",
                           R"({"code": "NO_SUCH_CODE", "message": "m"})"}) {
    EXPECT_TRUE(error_from_json(nlohmann::ordered_json::parse(text)).ok()) << text;
  }
  const Status odd = error_from_json(nlohmann::ordered_json::parse(
      R"({"code": "INTERNAL", "message": 1, "details": {"a": 1, "b": "2"}})"));
  EXPECT_EQ(odd.code(), Code::kInternal);
  EXPECT_EQ(odd.details(), (std::map<std::string, std::string>{{"b", "2"}}));
}

}  // namespace
}  // namespace rotor
