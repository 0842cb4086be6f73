#include "quant/checkpoint/checkpoint_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;

class Checkpoint : public ::testing::Test {
 protected:
  // One U8 tensor a name, each holding its own name's first letter.
  void shard(const std::string& file, const std::vector<std::string>& names) const {
    std::vector<TensorSpec> specs;
    for (const std::string& name : names) {
      specs.push_back({name, DType::kU8, {1}});
    }
    const auto writer = SafetensorsWriter::create(posix_file_system(), dir_ / file, specs);
    ASSERT_OK(writer);
    for (const std::string& name : names) {
      ASSERT_OK((*writer)->write(name, 0, name.data(), 1));
    }
    ASSERT_OK((*writer)->finish());
  }
  void index(const std::string& text) const { dir_.put(kIndexName, text); }
  Result<std::unique_ptr<CheckpointReader>> open() const {
    return CheckpointReader::open(posix_file_system(), dir_.path());
  }
  void expect_bad_index(const std::string& words) const {
    EXPECT_FAILS(open(), Code::kInvalidArgument, "BAD_INDEX", words);
  }

  TemporaryDirectory dir_;
};

TEST_F(Checkpoint, ReadsOneFile) {
  shard("model.safetensors", {"b", "a"});
  const auto reader = open();
  ASSERT_OK(reader);
  EXPECT_FALSE((*reader)->has_index());
  EXPECT_EQ((*reader)->tensors().size(), 2U);
  char byte = 0;
  ASSERT_OK((*reader)->read("b", 0, &byte, 1));
  EXPECT_EQ(byte, 'b');
  EXPECT_EQ((*reader)->find("c"), nullptr);
  EXPECT_FAILS((*reader)->read("c", 0, &byte, 1), Code::kNotFound, "MISSING_TENSOR", dir_.path());
}

TEST_F(Checkpoint, ReadsShardsInOrderOfNames) {
  shard("2.safetensors", {"a"});
  shard("1.safetensors", {"c", "b"});
  index(R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"1.safetensors"}})");
  const auto reader = open();
  ASSERT_OK(reader);
  std::vector<std::string> names;
  for (const TensorSpec& tensor : (*reader)->tensors()) {
    names.push_back(tensor.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"b", "c", "a"}));
  EXPECT_EQ((*reader)->shard_of("a")->path(), dir_ / "2.safetensors");
  char byte = 0;
  ASSERT_OK((*reader)->read("a", 0, &byte, 1));
  EXPECT_EQ(byte, 'a');
  EXPECT_OK((*reader)->check_unchanged());
  shard("2.safetensors", {"a"});
  EXPECT_FAILS((*reader)->check_unchanged(), Code::kFailedPrecondition, "SOURCE_CHANGED", "2.safe");
}

// faults.24
TEST_F(Checkpoint, Faults24_IndexValuesAreOnePathComponent) {
  shard("1.safetensors", {"a"});
  for (const char* value : {"\"../1.safetensors\"", "\"/tmp/1.safetensors\"", "\"d/1.safetensors\"",
                            "\"1.bin\"", "\".safetensors\"", "\"\"", "1", "null",
                            "[\"1.safetensors\"]", "\"x\\u0000.safetensors\""}) {
    index(std::string(R"({"weight_map":{"a":)") + value + "}}");
    expect_bad_index("key 'a'");
  }
}

// faults.24
TEST_F(Checkpoint, Faults24_IndexThatIsNoIndex) {
  for (const char* text : {"{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})"}) {
    index(text);
    expect_bad_index("weight_map");
  }
  for (const char* text :
       {"", "{", R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})"}) {
    index(text);
    EXPECT_FAILS(open(), Code::kInvalidArgument, "BAD_JSON", kIndexName);
  }
}

// faults.24
TEST_F(Checkpoint, Faults24_IndexAgainstShards) {
  shard("1.safetensors", {"a", "b"});
  shard("2.safetensors", {"c"});
  index(R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"3.safetensors"}})");
  expect_bad_index("names '3.safetensors', which is not there");
  index(R"({"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})");
  expect_bad_index("key 'b': missing");
  index(R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}})");
  expect_bad_index("key 'b': says 2.safetensors");
  index(
      R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors","d":"2.safetensors"}})");
  EXPECT_OK(open());  // out of date, and nothing needs it
  shard("2.safetensors", {"c", "a"});
  index(R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}})");
  expect_bad_index("the tensor is also in");
}

// faults.24
TEST_F(Checkpoint, Faults24_AnIndexBesideAnotherModelIsAmbiguous) {
  shard("1.safetensors", {"a"});
  shard("model.safetensors", {"a"});
  index(R"({"weight_map":{"a":"1.safetensors"}})");
  expect_bad_index("does not name model.safetensors");
  index(R"({"weight_map":{"a":"model.safetensors"}})");
  EXPECT_OK(open());
}

TEST_F(Checkpoint, RefusesPickles) {
  EXPECT_FAILS(open(), Code::kNotFound, "NO_WEIGHTS", dir_.path());
  dir_.put("pytorch_model.bin", "x");
  EXPECT_FAILS(open(), Code::kUnimplemented, "NOT_SAFETENSORS", "safe_serialization=True");
}

TEST(CheckpointReader, ReadsTheDemoModel) {
  const auto reader =
      CheckpointReader::open(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  ASSERT_OK(reader);
  const TensorSpec* embedding = (*reader)->find("model.embed_tokens.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->shape, (std::vector<int64_t>{2048, 256}));
}

}  // namespace
}  // namespace rotor
