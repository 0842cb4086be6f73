#include "model/calibration/read_windows.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;
using Ids = std::vector<int32_t>;

/// One id a letter ('a' is 1), after a special token 0.
class LetterTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 27; }
  Result<Ids> encode(std::string_view text, int64_t max_ids, bool special_tokens) const override {
    Ids ids = special_tokens ? Ids{0} : Ids{};
    for (size_t i = 0; i < text.size() && static_cast<int64_t>(ids.size()) < max_ids; ++i) {
      if (text[i] == '\xFF') {
        return invalid_argument("not UTF-8")
            .with_reason("INVALID_UTF8")
            .with_detail("offset", std::to_string(i));
      }
      ids.push_back(text[i] == '\n' ? 15 : text[i] - 'a' + 1);
    }
    return ids;
  }
};

class ReadWindows : public ::testing::Test {
 protected:
  Result<TokenWindows> calibration(const TextSource& source) {
    return read_calibration_windows(source, &tokenizer_, config_);
  }

  TextSource source(std::vector<std::string> files, int64_t sequences = 1, int64_t seq_len = 3) {
    return {.files = std::move(files), .sequences = sequences, .seq_len = seq_len};
  }

  TemporaryDirectory directory_;
  LetterTokenizer tokenizer_;
  ModelConfig config_ = testing::parsed_small_config();
};

TEST_F(ReadWindows, CutsEachTextByItself) {
  const std::string a = directory_.put("a.txt", "abcdefg");
  const std::string b = directory_.put("b", "hijk");
  const auto windows = calibration(source({a, b}, 3));
  ASSERT_OK(windows);
  EXPECT_EQ(windows->ids, (Ids{0, 1, 2, 3, 4, 5, 0, 8, 9})) << "6, 7 and 10, 11 are dropped";
  EXPECT_EQ(calibration(source({a, b}, 2))->ids, (Ids{0, 1, 2, 3, 4, 5}));
}

TEST_F(ReadWindows, AByteOrderMarkIsNoText) {
  const auto windows = calibration(source({directory_.put("a.txt",
                                                          "\xef\xbb\xbf"
                                                          "abc")}));
  ASSERT_OK(windows);
  EXPECT_EQ(windows->ids, (Ids{0, 1, 2}));
}

TEST_F(ReadWindows, PacksDocuments) {
  const std::string path = directory_.put(
      "a.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"c\"}\n{\"input_ids\": [9, 10, 11, 12]}\n");
  const auto windows = calibration(source({path}, 3));
  ASSERT_OK(windows);
  EXPECT_EQ(windows->ids, (Ids{0, 1, 2, 0, 3, 9, 10, 11, 12}));
}

TEST_F(ReadWindows, AddsNoSpecialTokensToTextThatHasThem) {
  const std::string path = directory_.put(
      "a.jsonl", "{\"text\": \"abc\", \"add_special_tokens\": false}\n{\"text\": \"de\"}\n");
  const auto windows = calibration(source({path}, 2));
  ASSERT_OK(windows);
  EXPECT_EQ(windows->ids, (Ids{1, 2, 3, 0, 4, 5}));
}

TEST_F(ReadWindows, RefusesColumnsWithTheWayOut) {
  for (const char* name : {"a.parquet", "a.arrow"}) {
    EXPECT_FAILS(calibration(source({directory_.put(name, "PAR1")})), Code::kInvalidArgument,
                 "BAD_CALIBRATION_DATA", "rotor prepare-calibration MODEL");
  }
}

TEST_F(ReadWindows, TakesAWindowOfEachDocument) {
  TextSource documents =
      source({directory_.put("a.json", R"(["abcdef", "g", {"input_ids": [9, 10, 11, 12]}])")}, 2);
  documents.mode = CalibrationMode::kDocument;
  const auto windows = calibration(documents);
  ASSERT_OK(windows);
  EXPECT_EQ(windows->ids, (Ids{0, 1, 2, 9, 10, 11}));
  documents.sequences = 3;
  EXPECT_FAILS(calibration(documents), Code::kInvalidArgument, "TOO_FEW_TOKENS",
               "(1 documents are shorter than a window and were passed over)");
}

TEST_F(ReadWindows, NeedsNoTokenizerForIds) {
  const std::string path = directory_.put("a.jsonl", R"({"input_ids": [1, 2, 3]})");
  EXPECT_EQ(read_calibration_windows(source({path}), nullptr, config_)->ids, (Ids{1, 2, 3}));
  const std::string text = directory_.put("a.txt", "abc");
  EXPECT_FAILS(read_calibration_windows(source({text}), nullptr, config_), Code::kInvalidArgument,
               "NEEDS_TOKENIZER", text);
}

TEST_F(ReadWindows, ChoosesWindowsBySeed) {
  std::string text;
  for (int i = 0; i < 59; ++i) {
    text += static_cast<char>('a' + i % 15);
  }
  TextSource chosen = source({directory_.put("a.txt", text)}, 20);
  const TokenWindows in_order = calibration(chosen).value();
  chosen.seed = 9;
  chosen.sequences = 5;
  const TokenWindows windows = calibration(chosen).value();
  ASSERT_EQ(windows.sequences(), 5);
  const std::vector<int64_t> expected = choose_windows(20, 5, 9);
  for (int64_t i = 0; i < 5; ++i) {
    const auto got = windows.window(i);
    const auto wanted = in_order.window(expected[static_cast<size_t>(i)]);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), wanted.begin())) << i;
  }
}

TEST_F(ReadWindows, EvaluatesOnAllWindowsOrAFew) {
  const std::string path = directory_.put("a.txt", "abcdefghij");
  EXPECT_EQ(read_evaluation_windows(source({path}, 0), &tokenizer_, config_)->sequences(), 3);
  EXPECT_EQ(read_evaluation_windows(source({path}, 2), &tokenizer_, config_)->sequences(), 2);
  EXPECT_EQ(read_evaluation_windows(source({path}, 99), &tokenizer_, config_)->sequences(), 3);
  EXPECT_FAILS(read_evaluation_windows(source({path}, 0, 12), &tokenizer_, config_),
               Code::kInvalidArgument, "TOO_FEW_TOKENS", "make 0 windows of 12 tokens");
  EXPECT_FAILS(read_evaluation_windows(source({path}, -1), &tokenizer_, config_),
               Code::kInvalidArgument, "BAD_CALIBRATION_OPTIONS", "-1");
}

TEST_F(ReadWindows, RefusesWindowsLongerThanWhatAnIndexerChooses) {
  const std::string path = directory_.put("a.txt", std::string(40, 'a'));
  config_.latent.emplace().indexer.emplace().chosen = 16;
  EXPECT_OK(calibration(source({path}, 1, 16)));
  EXPECT_FAILS(calibration(source({path}, 1, 17)), Code::kInvalidArgument,
               "BAD_CALIBRATION_OPTIONS",
               "at most 16 (index_topk in config.json); give a shorter --seq-len");
  EXPECT_FAILS(read_evaluation_windows(source({path}, 1, 17), &tokenizer_, config_),
               Code::kInvalidArgument, "BAD_CALIBRATION_OPTIONS", "shorter --seq-len, or --eval");
}

TEST_F(ReadWindows, RefusesWindowsBeyondTheTrainedLength) {
  const std::string path = directory_.put("a.txt", std::string(40, 'a'));
  EXPECT_FAILS(calibration(source({path}, 1, 33)), Code::kInvalidArgument,
               "BAD_CALIBRATION_OPTIONS", "at most 32 (max_position_embeddings");
  EXPECT_FAILS(read_evaluation_windows(source({path}, 1, 33), &tokenizer_, config_),
               Code::kInvalidArgument, "BAD_CALIBRATION_OPTIONS",
               "at most 32 (max_position_embeddings");
}

// faults.32
TEST_F(ReadWindows, Faults32_EmptyAndMissingFiles) {
  const std::string empty = directory_.put("a.txt", "");
  EXPECT_FAILS(calibration(source({empty})), Code::kInvalidArgument, "BAD_CALIBRATION_DATA",
               empty + ": the file is empty");
  EXPECT_EQ(calibration(source({directory_ / "none"})).status().code(), Code::kNotFound);
  EXPECT_FAILS(calibration(source({directory_.path()})), Code::kInvalidArgument,
               "NOT_A_REGULAR_FILE", directory_.path());
}

// faults.32
TEST_F(ReadWindows, Faults32_TooFewTokens) {
  const std::string path = directory_.put("a.txt", "abcdef");
  const Status status = calibration(source({path}, 5)).status();
  EXPECT_FAILS(status, Code::kInvalidArgument, "TOO_FEW_TOKENS",
               path + ": 7 tokens make 2 windows of 3 tokens, and 5 are needed");
  EXPECT_EQ(status.details().at("windows"), "2");
}

// faults.32
TEST_F(ReadWindows, Faults32_InvalidUtf8IsNamedByLine) {
  const std::string path = directory_.put("a.txt", "ab\ncd\nx\xFFz\n");
  const Status status = calibration(source({path}, 9)).status();
  EXPECT_FAILS(status, Code::kInvalidArgument, "BAD_CALIBRATION_DATA", path + ":3");
  EXPECT_EQ(status.details().at("line"), "3");
}

// faults.32
TEST_F(ReadWindows, Faults32_IdsOutsideTheVocabulary) {
  const std::string path = directory_.put("a.txt", "abcz");
  EXPECT_FAILS(calibration(source({path}, 1, 5)), Code::kInvalidArgument, "BAD_CALIBRATION_DATA",
               "gives the token id 26, and config.json has a vocab_size of 16");
}

// faults.32
TEST_F(ReadWindows, Faults32_ImpossibleOptions) {
  const std::string path = directory_.put("a.txt", "abcdef");
  for (const TextSource& bad :
       {source({}), source({path}, 0), source({path}, -3), source({path}, 1, 1),
        source({path}, 1, 0), source({path}, 1, -5), source({path}, 1, 33)}) {
    EXPECT_FAILS(calibration(bad), Code::kInvalidArgument, "BAD_CALIBRATION_OPTIONS", "");
  }
}

}  // namespace
}  // namespace rotor
