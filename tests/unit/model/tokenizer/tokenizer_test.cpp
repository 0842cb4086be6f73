#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::TemporaryDirectory;

const std::string kDemo = std::string(ROTOR_SOURCE_DIR) + "/demo/model/tokenizer.json";
const std::string kExpected =
    std::string(ROTOR_SOURCE_DIR) + "/tests/data/tokenizer/expected_ids.json";

json demo() {
  return json::parse(testing::file_bytes(kDemo));
}

Result<std::unique_ptr<Tokenizer>> open(const json& tokenizer) {
  const TemporaryDirectory directory;
  return open_tokenizer(directory.put("tokenizer.json", tokenizer.dump()));
}

/// A base file with the changes of a case of expected_ids.json.
json changed(const json& base, const json& replace) {
  json out = base;
  for (const auto& [key, value] : replace.items()) {
    if (key != "model") {
      out[key] = value;
    } else if (value.contains("merges")) {
      for (json& merge : out["model"]["merges"]) {
        merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
      }
    } else {
      out["model"].update(value);
      out["model"].erase("vocab without");
      for (const json& token : value.value("vocab without", json::array())) {
        out["model"]["vocab"].erase(token.get<std::string>());
      }
    }
  }
  return out;
}

TEST(Tokenizer, GivesTheIdsOfTheTokenizersLibrary) {
  const json cases = json::parse(testing::file_bytes(kExpected));
  ASSERT_GT(cases.size(), 60U);
  std::map<std::string, json> bases;
  for (const json& one : cases) {
    SCOPED_TRACE(one["name"].get<std::string>());
    json& base = bases[one["base"].get<std::string>()];
    if (base.is_null()) {
      base = json::parse(testing::file_bytes(std::string(ROTOR_SOURCE_DIR) + "/" +
                                             one["base"].get<std::string>()));
    }
    const auto tokenizer = open(changed(base, one["replace"]));
    ASSERT_OK(tokenizer);
    for (const json& text : one["texts"]) {
      const auto ids = (*tokenizer)->encode(text["text"].get<std::string>());
      ASSERT_OK(ids);
      EXPECT_EQ(*ids, text["ids"].get<std::vector<int32_t>>()) << text["text"];
    }
  }
}

TEST(Tokenizer, KnowsTheSizeOfItsVocabulary) {
  json file = demo();
  EXPECT_EQ(open(file).value()->vocab_size(), 2048);
  file["added_tokens"].push_back({{"id", 5000}, {"content", "<new>"}});
  EXPECT_EQ(open(file).value()->vocab_size(), 5001);
}

TEST(Tokenizer, LeavesOutTheSpecialTokensAroundAText) {
  json file = demo();
  file["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
        {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", json::array()},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {7}}, {"tokens", {"<s>"}}}}}}};
  const auto tokenizer = open(file);
  ASSERT_OK(tokenizer);
  const std::vector<int32_t> with = (*tokenizer)->encode("some words").value();
  ASSERT_EQ(with.front(), 7);
  EXPECT_EQ((*tokenizer)->encode("some words", Tokenizer::kAllIds, false).value(),
            std::vector<int32_t>(with.begin() + 1, with.end()));
}

TEST(Tokenizer, StopsWhereThereAreEnoughIds) {
  const auto tokenizer = open_tokenizer(kDemo);
  ASSERT_OK(tokenizer);
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text += "some words, ";
  }
  const std::vector<int32_t> all = (*tokenizer)->encode(text).value();
  const std::vector<int32_t> some = (*tokenizer)->encode(text, 1000).value();
  ASSERT_GE(some.size(), 1000U);
  EXPECT_LT(some.size(), 1100U);
  EXPECT_TRUE(std::equal(some.begin(), some.begin() + 1000, all.begin()));
}

TEST(Tokenizer, SaysWhereTextIsNotUtf8) {
  const auto tokenizer = open_tokenizer(kDemo);
  ASSERT_OK(tokenizer);
  const Status status = (*tokenizer)->encode("abcdé\xFF").status();
  EXPECT_FAILS(status, Code::kInvalidArgument, "INVALID_UTF8", "at byte 6");
  EXPECT_EQ(status.details().at("offset"), "6");
}

TEST(Tokenizer, RefusesACharacterWithoutToken) {
  json file = demo();
  file["pre_tokenizer"] = nullptr;
  const auto tokenizer = open(file);
  ASSERT_OK(tokenizer);
  EXPECT_FAILS((*tokenizer)->encode("中"), Code::kInvalidArgument, "UNTOKENIZABLE_TEXT",
               "\\xe4\\xb8\\xad");
}

TEST(Tokenizer, ServesManyThreads) {
  const auto tokenizer = open_tokenizer(kDemo);
  ASSERT_OK(tokenizer);
  const std::string text = testing::file_bytes(kDemo).substr(0, 20'000);
  const std::vector<int32_t> expected = (*tokenizer)->encode(text).value();
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (int& count : same) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        count += (*tokenizer)->encode(text).value() == expected ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(same, std::vector<int>(4, 5));
}

TEST(Tokenizer, MergesALongPieceInBoundedTime) {
  json file = demo();
  file["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const auto tokenizer = open(file);
  ASSERT_OK(tokenizer);
  EXPECT_OK((*tokenizer)->encode(std::string(300'000, 'a')));
}

TEST(Tokenizer, RefusesUnsupportedComponentsByName) {
  struct Case {
    const char* key;
    json value;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"normalizer", {{"type", "BertNormalizer"}}, "\"normalizer.type\" is \"BertNormalizer\""},
      {"normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}},
       "\"normalizer.normalizers[1].type\" is \"Nmt\""},
      {"normalizer",
       {{"type", "Precompiled"}, {"precompiled_charsmap", ""}},
       "\"normalizer.type\" is \"Precompiled\""},
      {"pre_tokenizer", {{"type", "UnicodeScripts"}}, "\"pre_tokenizer.type\""},
      {"pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", {{{"type", "BertPreTokenizer"}}}}},
       "pretokenizers[0].type"},
      {"pre_tokenizer",
       {{"type", "Split"}, {"pattern", {{"Regex", "(a)\\1"}}}, {"behavior", "Isolated"}},
       "regular expression"},
      {"post_processor", {{"type", "BertProcessing"}}, "\"post_processor.type\""},
  };
  for (const Case& one : cases) {
    json file = demo();
    file[one.key] = one.value;
    EXPECT_FAILS(open(file), Code::kUnimplemented, "UNSUPPORTED_TOKENIZER", one.words);
  }
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, json>>{{"type", "Unigram"},
                                                 {"dropout", 0.1},
                                                 {"end_of_word_suffix", "</w>"},
                                                 {"continuing_subword_prefix", "##"}}) {
    json file = demo();
    file["model"][key] = value;
    EXPECT_FAILS(open(file), Code::kUnimplemented, "UNSUPPORTED_TOKENIZER", "model." + key);
  }
}

TEST(Tokenizer, RefusesBrokenFilesByKey) {
  struct Case {
    const char* pointer;
    json value;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"/model", 1, "model"},
      {"/model/vocab", json::object(), "vocab"},
      {"/model/vocab/a", -1, "model.vocab.a"},
      {"/model/vocab/a", 3000000000U, "model.vocab.a"},
      {"/model/vocab/a", "7", "model.vocab.a"},
      {"/model/merges/5", "x", "element 5"},
      {"/model/merges/5", "a b c", "element 5"},
      {"/model/merges/5", {"a", 7}, "element 5"},
      {"/model/merges/5", " a", "empty token"},
      {"/model/merges/5", {"a", "no such token"}, "not in the vocabulary"},
      {"/model/unk_token", "no such token", "unk_token"},
      {"/added_tokens/0/id", 7, "contradicts itself"},
      {"/added_tokens/0/content", nullptr, "added_tokens[0].content"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Sideways", "behavior"},
      {"/pre_tokenizer/pretokenizers/0/pattern", {{"String", ""}}, "pattern.String"},
      {"/pre_tokenizer", {{"type", "Metaspace"}}, "pre_tokenizer.replacement"},
      {"/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}, "one character"},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}},
       "first, always or never"},
      {"/pre_tokenizer",
       {{"type", "Metaspace"},
        {"replacement", "_"},
        {"prepend_scheme", "first"},
        {"add_prefix_space", false}},
       "add_prefix_space is false"},
      {"/post_processor/single", json::array(), "post_processor.single"},
      {"/post_processor/special_tokens", json::object(), "special_tokens"},
  };
  for (const Case& one : cases) {
    json file = demo();
    file[json::json_pointer(one.pointer)] = one.value;
    EXPECT_FAILS(open(file), Code::kInvalidArgument, "BAD_TOKENIZER", one.words) << one.pointer;
  }
  const TemporaryDirectory directory;
  EXPECT_EQ(open_tokenizer(directory / "none").status().code(), Code::kNotFound);
  EXPECT_EQ(open_tokenizer(directory.put("cut", "{\"model\": {")).status().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace rotor
