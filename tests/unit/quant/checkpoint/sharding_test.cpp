#include "quant/checkpoint/sharding.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

std::vector<TensorSpec> tensors(const std::vector<int64_t>& sizes) {
  std::vector<TensorSpec> out;
  for (const int64_t size : sizes) {
    out.push_back({std::string("t").append(std::to_string(out.size())), DType::kU8, {size}});
  }
  return out;
}

TEST(Sharding, OneSmallShardHasThePlainName) {
  const auto shards = cut_into_shards(tensors({3, 4}), 7);
  ASSERT_OK(shards);
  ASSERT_EQ(shards->size(), 1U);
  EXPECT_EQ(shards->front().file_name, "model.safetensors");
  EXPECT_EQ(shards->front().data_bytes, 7);
}

TEST(Sharding, FillsInOrderAndGivesLargeTensorsTheirOwn) {
  const auto shards = cut_into_shards(tensors({3, 4, 1, 20, 2, 0}), 7);
  ASSERT_OK(shards);
  std::vector<size_t> counts;
  for (const Shard& shard : *shards) {
    counts.push_back(shard.tensors.size());
  }
  EXPECT_EQ(counts, (std::vector<size_t>{2, 1, 1, 2}));
  EXPECT_EQ(shards->at(2).file_name, "model-00003-of-00004.safetensors");
}

TEST(Sharding, IndexIsSortedAndCounts) {
  const auto shards = cut_into_shards(tensors({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}), 6);
  ASSERT_OK(shards);
  const std::string text = index_json(*shards);
  const auto index = nlohmann::ordered_json::parse(text);
  EXPECT_EQ(index["metadata"]["total_size"], 11);
  EXPECT_EQ(index["weight_map"]["t10"], "model-00002-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"].begin().key(), "t0");
  EXPECT_EQ((++index["weight_map"].begin()).key(), "t1");
  EXPECT_EQ((++ ++index["weight_map"].begin()).key(), "t10");
}

TEST(Sharding, RefusesBadInput) {
  EXPECT_FAILS(cut_into_shards({}, 7), Code::kInvalidArgument, "NO_TENSORS", "");
  EXPECT_FAILS(cut_into_shards(tensors({1}), 0), Code::kInvalidArgument, "BAD_SHARD_SIZE", "0");
  auto twice = tensors({1, 1});
  twice[1].name = "t0";
  EXPECT_FAILS(cut_into_shards(twice, 7), Code::kInvalidArgument, "DUPLICATE_TENSOR", "'t0'");
}

}  // namespace
}  // namespace rotor
