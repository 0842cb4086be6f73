#include "ops/cli/prepare_calibration.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::file_bytes;
using testing::TemporaryDirectory;

TEST(DatasetFailure, IsWhatTheProgramSaidLast) {
  const Status told = dataset_failure(
      "data.jsonl", "exit code 1",
      "a warning\n"
      R"({"code": "INVALID_ARGUMENT", "reason": "BAD_CALIBRATION_DATA", "message": "data.jsonl:2: no",)"
      R"( "details": {"line": "2", "depth": 3}})"
      "\n\n");
  EXPECT_FAILS(told, Code::kInvalidArgument, "BAD_CALIBRATION_DATA", "data.jsonl:2: no");
  EXPECT_EQ(told.details().at("line"), "2");
}

TEST(DatasetFailure, OfAnyOtherShapeNamesTheFileAndTheLine) {
  for (const char* written :
       {"", "\n\n", "KeyError: 'a'\n", "[1]", "{}", "null", "{\"reason\": \"X\"", "\xff",
        R"({"code": 7, "reason": "X", "message": "m"})", R"({"code": "NO_SUCH_CODE"})"}) {
    const Status status = dataset_failure("data.jsonl", "exit code 1", written);
    EXPECT_FAILS(status, Code::kInternal, "",
                 "data.jsonl: reading the data set ended with exit code 1: ");
    EXPECT_EQ(status.details().at("file"), "data.jsonl");
  }
  for (const char* written : {R"({"code": "INTERNAL", "reason": 7, "message": [], "details": 3})",
                              R"({"code": "INTERNAL", "details": {"file": {}}})"}) {
    EXPECT_FAILS(dataset_failure("data.jsonl", "exit code 1", written), Code::kInternal, "", "");
  }
}

class PrepareCalibration : public ::testing::Test {
 protected:
  PrepareCalibration() {
    for (const char* name : {"config.json", "tokenizer.json"}) {
      std::filesystem::copy(std::filesystem::path(ROTOR_SOURCE_DIR "/demo/model") / name,
                            directory_.path());
    }
    directory_.put("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
    settings_.model = directory_.path();
    settings_.sources = {{directory_.put("chats.jsonl", chats(40)), {}}};
    settings_.source.sequences = 1;
    settings_.source.seq_len = 16;
    settings_.output = directory_ / "ids.jsonl";
  }

  static std::string lines(int count, const std::string& line) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += line + "\n";
    }
    return text;
  }
  static std::string chats(int count) {
    return lines(count, R"({"messages": [{"role": "user", "content": "What is a file?"}]})");
  }
  static std::string texts(int count) { return lines(count, R"({"text": "What is a file?"})"); }
  /// The output and what is made on the way to it.
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename();
      if (name.starts_with("ids.jsonl")) {
        names.push_back(name);
      }
    }
    return names;
  }

  const TemporaryDirectory directory_;
  CalibrationSettings settings_;
};

TEST_F(PrepareCalibration, WritesWindowsAndNothingElse) {
  const auto prepared = prepare_calibration(settings_, [] { return false; });
  ASSERT_OK(prepared);
  EXPECT_EQ(prepared->windows, 1);
  EXPECT_EQ(left(), std::vector<std::string>{"ids.jsonl"});
}

TEST_F(PrepareCalibration, StopsWhileTheProgramRuns) {
  const auto prepared = prepare_calibration(settings_, [] { return true; });
  EXPECT_FAILS(prepared, Code::kCancelled, "INTERRUPTED", "calibration data was prepared");
  EXPECT_TRUE(left().empty());
}

TEST_F(PrepareCalibration, StopsAtEveryTextAndBeforeItWrites) {
  settings_.sources = {{directory_.put("texts.jsonl", texts(10)), 1.0}};
  int asked = 0;
  ASSERT_OK(prepare_calibration(settings_, [&] { return ++asked < 0; }));
  EXPECT_GT(asked, 2);
  std::filesystem::remove(settings_.output);
  for (int last = 1; last <= asked; ++last) {
    int count = 0;
    EXPECT_FAILS(prepare_calibration(settings_, [&] { return ++count == last; }), Code::kCancelled,
                 "INTERRUPTED", "");
    EXPECT_TRUE(left().empty()) << last;
  }
}

}  // namespace
}  // namespace rotor::cli
