#include "quant/base/json.h"

#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(Json, ParsesValues) {
  const auto json = parse_json(R"( {"a": [1, -2, 2.5, "x", null, true], "b": {}} )", "f");
  ASSERT_OK(json);
  EXPECT_EQ((*json)["a"][1], -2);
  EXPECT_EQ((*json)["a"][2], 2.5);
  EXPECT_TRUE((*json)["b"].is_object());
}

TEST(Json, OrderedKeepsTheOrderOfKeys) {
  const auto json =
      parse_ordered_json(R"({"z": 1, "a": {"y": 1, "b": 1e-05}, "m": "\u00e4"})", "f");
  ASSERT_OK(json);
  EXPECT_EQ(json->dump(), "{\"z\":1,\"a\":{\"y\":1,\"b\":1e-05},\"m\":\"\xc3\xa4\"}");
}

// faults.24
TEST(Json, Faults24_RefusesWhatIsNotStrictJson) {
  for (const char* text : {"", "{", "{} x", "{'a': 1}", "[1,]", "{\"a\" 1}", "nul", "NaN",
                           "[1e999]", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
                           "\xef\xbb\xbf{}", "\"\\ud800\"", "01", "[\"\x01\"]", "// c\n1"}) {
    EXPECT_FAILS(parse_json(text, "dir/file.json"), Code::kInvalidArgument, "BAD_JSON",
                 "dir/file.json: byte ");
    EXPECT_FAILS(parse_ordered_json(text, "f"), Code::kInvalidArgument, "BAD_JSON", "f: byte ");
  }
}

// faults.24
TEST(Json, Faults24_RefusesNulBytes) {
  // nlohmann's lexer takes NUL for the end of its input.
  EXPECT_FAILS(parse_json(std::string_view("{}\0garbage", 10), "f"), Code::kInvalidArgument,
               "BAD_JSON", "f: byte 2: a NUL byte");
}

// faults.24
TEST(Json, Faults24_RefusesDuplicateKeysAtEveryLevel) {
  for (const char* text : {R"({"a":1,"a":1})", R"({"x":[{"a":{},"b":1,"a":{}}]})"}) {
    EXPECT_FAILS(parse_json(text, "f"), Code::kInvalidArgument, "BAD_JSON", "duplicate key 'a'");
    EXPECT_FAILS(parse_ordered_json(text, "f"), Code::kInvalidArgument, "BAD_JSON",
                 "duplicate key 'a'");
  }
  EXPECT_OK(parse_json(R"([{"a":{"a":1}},{"a":1}])", "f"));
}

// faults.24
TEST(Json, Faults24_NamesTheByteOfAFault) {
  EXPECT_FAILS(parse_json(R"({"a":1,"a":2})", "f"), Code::kInvalidArgument, "BAD_JSON",
               "f: byte 10:");
}

// faults.24
TEST(Json, Faults24_BoundsDepth) {
  JsonLimits limits;
  limits.max_depth = 3;
  EXPECT_OK(parse_json("[[[1]]]", "f", limits));
  EXPECT_FAILS(parse_json("[[[[1]]]]", "f", limits), Code::kInvalidArgument, "BAD_JSON",
               "deeper than 3");
  const std::string deep(1'000'000, '[');
  EXPECT_FAILS(parse_json(deep, "f"), Code::kInvalidArgument, "BAD_JSON", "deeper than 64");
}

// faults.24
TEST(Json, Faults24_BoundsSizeAndValues) {
  JsonLimits limits;
  limits.max_bytes = 10;
  limits.max_values = 3;
  EXPECT_OK(parse_json("[1,2]", "f", limits));
  EXPECT_FAILS(parse_json("[1,2,3]", "f", limits), Code::kInvalidArgument, "BAD_JSON",
               "more than 3 values");
  EXPECT_FAILS(parse_json("[          ]", "f", limits), Code::kInvalidArgument, "BAD_JSON",
               "over the limit of 10");
}

// faults.24
TEST(Json, Faults24_ManyKeysTakeNoQuadraticTime) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) {
    text += "\"k" + std::to_string(i) + "\":0,";
  }
  text += "\"end\":0}";
  const std::clock_t start = std::clock();  // CPU time: the machine may be busy
  const auto json = parse_ordered_json(text, "f");
  ASSERT_OK(json);
  EXPECT_EQ(json->size(), 100'001U);
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 10);
}

}  // namespace
}  // namespace rotor
