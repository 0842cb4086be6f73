#include "model/calibration/documents.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;

/// Texts as they are, ids as "#1,2".
Result<std::vector<std::string>> read(const std::string& path, size_t most = 100) {
  std::vector<std::string> out;
  ROTOR_RETURN_IF_ERROR(
      read_documents(posix_file_system(), path, 16, [&](Document document) -> Result<bool> {
        std::string text = document.has_ids ? "#" : document.text;
        for (const int32_t id : document.ids) {
          text += std::to_string(id) + ",";
        }
        out.push_back(text);
        return out.size() < most;
      }));
  return out;
}

class Documents : public ::testing::Test {
 protected:
  void refuses(const std::string& name, const std::string& bytes, const std::string& words) {
    const std::string path = directory_.put(name, bytes);
    const Status status = read(path).status();
    EXPECT_FAILS(status, Code::kInvalidArgument, "BAD_CALIBRATION_DATA", words) << bytes;
    EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
    EXPECT_EQ(status.details().at("file"), path);
  }

  TemporaryDirectory directory_;
};

using Texts = std::vector<std::string>;

TEST_F(Documents, ReadsLines) {
  const auto got = read(directory_.put(
      "a.jsonl",
      "{\"text\": \"one\"}\n\n  \t\n{\"input_ids\": [0, 15], \"x\": 1}\r\n{\"text\":\"\"}"));
  ASSERT_OK(got);
  EXPECT_EQ(*got, (Texts{"one", "#0,15,", ""}));
}

TEST_F(Documents, ReadsAnArray) {
  const auto got =
      read(directory_.put("a.json", R"(["one", {"text": "two"}, {"input_ids": [3]}])"));
  ASSERT_OK(got);
  EXPECT_EQ(*got, (Texts{"one", "two", "#3,"}));
}

TEST_F(Documents, LeaveAByteOrderMarkOut) {
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(*read(directory_.put("a.json", mark + R"(["one"])")), Texts{"one"});
  EXPECT_EQ(*read(directory_.put("a.jsonl", mark + R"({"text": "two"})")), Texts{"two"});
}

TEST_F(Documents, LeavesPaddingOut) {
  const auto got =
      read(directory_.put("a.jsonl",
                          "{\"input_ids\": [0, 0, 5, 6, 0], \"attention_mask\": [0, 0, 1, 1, 0]}\n"
                          "{\"attention_mask\": [1], \"input_ids\": [7]}"));
  ASSERT_OK(got);
  EXPECT_EQ(*got, (Texts{"#5,6,", "#7,"}));
  refuses("b.jsonl", R"({"input_ids": [1, 2], "attention_mask": [1]})", "as many numbers");
  refuses("b.jsonl", R"({"input_ids": [1], "attention_mask": [2]})", "attention_mask[0]");
  refuses("b.jsonl", R"({"input_ids": [1], "attention_mask": 1})", "attention_mask");
}

TEST_F(Documents, TellsOfTextWhoseSpecialTokensAreInIt) {
  std::vector<bool> special;
  const std::string path = directory_.put(
      "a.jsonl", "{\"text\": \"a\", \"add_special_tokens\": false}\n{\"text\": \"b\"}");
  ASSERT_OK(read_documents(posix_file_system(), path, 16, [&](Document document) {
    special.push_back(document.special_tokens);
    return Result<bool>(true);
  }));
  EXPECT_EQ(special, (std::vector<bool>{false, true}));
  refuses("b.jsonl", R"({"text": "a", "add_special_tokens": 1})", "add_special_tokens");
}

TEST_F(Documents, StopsWhenTheSinkHasEnough) {
  const auto got = read(directory_.put("a.jsonl", "{\"text\": \"one\"}\n{broken"), 1);
  ASSERT_OK(got);
  EXPECT_EQ(*got, Texts{"one"});
}

// faults.32
TEST_F(Documents, Faults32_BrokenJsonIsNamedByLine) {
  refuses("a.jsonl", "{\"text\": \"one\"}\n\n{\"text\": \"two\"", "a.jsonl:3");
  refuses("a.jsonl", "{\"text\": \"one\"} {\"text\": \"two\"}", "a.jsonl:1");
  refuses("a.json", "[\"one\",\n\"two\",\n", "a.json:3: byte");
  refuses("a.json", "[\"one\",\nnone]", "a.json:2: byte");
}

// faults.32
TEST_F(Documents, Faults32_InvalidUtf8IsNamedByLine) {
  refuses("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"\xFF\"}", "a.jsonl:2");
  refuses("a.json", "[\n\"\xC3\"]", "a.json:2");
}

// faults.32
TEST_F(Documents, Faults32_WrongTypesAreNamed) {
  refuses("a.jsonl", "\n{\"text\": 7}", "a.jsonl:2: \"text\" is 7");
  refuses("a.jsonl", "{\"input_ids\": \"7\"}", "\"input_ids\" is \"7\"");
  refuses("a.jsonl", "{\"prompt\": \"x\"}", "neither \"text\" nor \"input_ids\"");
  refuses("a.jsonl", "{\"text\": \"x\", \"input_ids\": [1]}", "both");
  refuses("a.jsonl", "\"just text\"", "is not an object");
  refuses("a.json", "{\"text\": \"x\"}", "must hold an array");
  refuses("a.json", "[\"x\", 1]", "element 1");
}

// faults.32
TEST_F(Documents, Faults32_IdsOutsideTheVocabularyAreNamed) {
  for (const char* bad : {"16", "-1", "1.5", "1e2", "99999999999999999999", "\"1\"", "null"}) {
    refuses("a.jsonl", std::string("{\"input_ids\": [1, ") + bad + "]}",
            "a.jsonl:1: \"input_ids[1]\"");
  }
}

// faults.32
TEST_F(Documents, Faults32_EmptyFilesAreRefused) {
  refuses("a.jsonl", "", "holds no document");
  refuses("a.jsonl", "\n \n", "holds no document");
  refuses("a.json", "[]", "holds no document");
}

// faults.32
TEST_F(Documents, Faults32_ChatsAreRefusedWithTheWayOut) {
  for (const char* line : {R"({"messages": [{"role": "user", "content": "hi"}]})",
                           R"({"conversations": []})", R"({"prompt": "", "completion": ""})"}) {
    refuses("a.jsonl", line, "rotor prepare-calibration MODEL");
  }
}

}  // namespace
}  // namespace rotor
