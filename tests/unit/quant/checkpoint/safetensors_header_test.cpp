#include "quant/checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

Result<SafetensorsHeader> parse(const std::string& text, int64_t data_bytes) {
  return parse_safetensors_header(text, 8 + std::ssize(text) + data_bytes, "dir/f.safetensors");
}

void expect_refused(const std::string& text, int64_t data_bytes, const std::string& words) {
  const auto header = parse(text, data_bytes);
  EXPECT_FAILS(header, Code::kInvalidArgument, "BAD_SAFETENSORS", words) << text.substr(0, 200);
  EXPECT_FAILS(header, Code::kInvalidArgument, "BAD_SAFETENSORS", "dir/f.safetensors");
}

const std::string kA = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";

TEST(SafetensorsHeader, ReadsEntriesByOffset) {
  const auto header = parse(R"( {"__metadata__":{"format":"pt","x":"{"},
      "b":{"shape":[],"data_offsets":[4,8],"dtype":"F32"},
      "z":{"shape":[3,0],"data_offsets":[8,8],"dtype":"F64"},)" +
                                kA + "}  \n ",
                            8);
  ASSERT_OK(header);
  ASSERT_EQ(header->entries.size(), 3U);
  EXPECT_EQ(header->entries[0].spec, (TensorSpec{"a", DType::kU8, {4}}));
  EXPECT_EQ(header->entries[1].spec, (TensorSpec{"b", DType::kF32, {}}));
  EXPECT_EQ(header->entries[2].spec, (TensorSpec{"z", DType::kF64, {3, 0}}));
  EXPECT_EQ(header->entries[1].begin, 4);
  EXPECT_EQ(header->metadata.at("x"), "{");
}

TEST(SafetensorsHeader, AcceptsNoTensorsAndUnknownKeys) {
  EXPECT_OK(parse("{}", 0));
  EXPECT_OK(parse(
      R"({"a":{"dtype":"U8","new":{"k":[1,null]},"shape":[1],"data_offsets":[0,1],"f":1.5}})", 1));
}

// faults.24
TEST(SafetensorsHeader, Faults24_NotOneObject) {
  for (const char* text : {"", "[]", "1", "\"a\"", "null", "{", "{} {}", "{}x"}) {
    expect_refused(text, 0, "header: byte");
  }
  expect_refused("{\"\xff\":{}}", 0, "UTF-8");
  expect_refused(std::string("{}\0", 3), 0, "NUL");
}

// faults.24
TEST(SafetensorsHeader, Faults24_DuplicateKeys) {
  expect_refused("{" + kA + "," + kA + "}", 4, "duplicate key");
  expect_refused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                 "tensor 'a', key 'dtype': a duplicate key");
  expect_refused(R"({"__metadata__":{"x":"1","x":"1"}})", 0, "duplicate key");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "duplicate key");
  expect_refused(R"({"a":{"n":{"k":1,"k":1},"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                 "key 'k': a duplicate key");
}

// faults.24
TEST(SafetensorsHeader, Faults24_MetadataNotStrings) {
  for (const char* value :
       {"1", "null", "[]", "\"x\"", R"({"a":1})", R"({"a":null})", R"({"a":[]})", R"({"a":{}})"}) {
    expect_refused(std::string(R"({"__metadata__":)") + value + "}", 0, "__metadata__");
  }
}

// faults.24
TEST(SafetensorsHeader, Faults24_IncompleteEntries) {
  expect_refused(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "key 'dtype': missing");
  expect_refused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "key 'shape': missing");
  expect_refused(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "key 'data_offsets': missing");
  for (const char* value : {"1", "\"x\"", "[]", "null", "{}"}) {
    expect_refused(std::string(R"({"a":)") + value + "}", 0, "tensor 'a'");
  }
}

// faults.24
TEST(SafetensorsHeader, Faults24_UnknownDType) {
  for (const char* dtype : {"\"F4\"", "\"f32\"", "\"\"", "1", "null", "[\"F32\"]", "{}"}) {
    expect_refused(
        std::string(R"({"a":{"dtype":)") + dtype + R"(,"shape":[1],"data_offsets":[0,1]}})", 1,
        "key 'dtype'");
  }
}

// faults.24
TEST(SafetensorsHeader, Faults24_BadNumbers) {
  for (const char* number : {"-1", "-0", "1.0", "1e2", "281474976710656", "18446744073709551616",
                             "\"1\"", "null", "true", "[1]", "{}"}) {
    expect_refused(
        std::string(R"({"a":{"dtype":"U8","shape":[)") + number + R"(],"data_offsets":[0,1]}})", 1,
        "key 'shape'");
    expect_refused(
        std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,)") + number + "]}}", 1,
        "key 'data_offsets'");
  }
  for (const char* offsets : {"[]", "[0]", "[0,1,2]", "1", "{}"}) {
    expect_refused(
        std::string(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":)") + offsets + "}}", 1,
        "key 'data_offsets'");
  }
}

// faults.24
TEST(SafetensorsHeader, Faults24_Depth) {
  expect_refused(R"({"a":{"n":[[[1]]],"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                 "nested deeper than 4");
  expect_refused(R"({"a":{"n":)" + std::string(1'000'000, '['), 0, "nested deeper than 4");
}

// faults.24
TEST(SafetensorsHeader, Faults24_OffsetsMustTile) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}";
  };
  EXPECT_OK(parse(two("[4,8]", "[0,4]"), 8));
  expect_refused(two("[0,4]", "[5,9]"), 9, "leaves a hole");
  expect_refused(two("[1,5]", "[5,9]"), 9, "leaves a hole");
  expect_refused(two("[0,4]", "[3,7]"), 7, "overlaps");
  expect_refused(two("[0,4]", "[0,4]"), 4, "overlaps");
  expect_refused(two("[0,4]", "[8,4]"), 8, "runs backwards");
  expect_refused(two("[0,4]", "[4,8]"), 7, "the tensors end at data byte 8, the file at 7");
  expect_refused(two("[0,4]", "[4,8]"), 9, "the file at 9");
  expect_refused("{}", 1, "the file at 1");
}

// faults.24
TEST(SafetensorsHeader, Faults24_ShapeAgainstSize) {
  expect_refused(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}})", 4,
                 "does not hold the 16 bytes of F32 [4]");
  expect_refused(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                 "more than 2^48 - 1 bytes");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[281474976710655,281474976710655,0],"data_offsets":[0,0]}})", 0,
      "more than 2^48 - 1 bytes");
}

// faults.24
TEST(SafetensorsHeader, Faults24_HostileHeadersTakeBoundedTime) {
  const std::clock_t start = std::clock();  // CPU time: the machine may be busy
  std::string dimensions = R"({"a":{"dtype":"U8","shape":[)";
  for (int i = 0; i < 1'000'000; ++i) {
    dimensions += "0,";
  }
  expect_refused(dimensions + "0]}}", 0, "more than 64 numbers");
  std::string keys = R"({"a":{)";
  for (int i = 0; i < 100'000; ++i) {
    keys += "\"k" + std::to_string(i) + "\":0,";
  }
  expect_refused(keys + "\"e\":0}}", 0, "too many keys");
  std::string entries = "{";
  for (int i = 0; i < 100'000; ++i) {
    entries += "\"t" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  }
  EXPECT_OK(parse(entries + "\"t\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0));
  const std::string name(5'000'000, 'n');
  const auto header = parse("{\"" + name + "\":1}", 0);
  EXPECT_LT(header.status().message().size(), 1000U);
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 20);
}

}  // namespace
}  // namespace rotor
