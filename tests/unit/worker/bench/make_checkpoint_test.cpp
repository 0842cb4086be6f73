#include "worker/bench/make_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "model/model_files.h"
#include "model/tokenizer/tokenizer.h"
#include "quant/format/bf16.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/thread_group.h"
#include "worker/bench/digest_sink.h"
#include "worker/pipeline/shard_runner.h"

namespace rotor::worker::bench {
namespace {

CheckpointOptions tiny(const std::string& directory) {
  CheckpointOptions options;
  options.shape = find_shape("tiny").value();
  options.directory = directory;
  options.max_shard_bytes = 300'000;
  return options;
}

double deviation(const CheckpointReader& reader, const std::string& name) {
  const std::vector<uint8_t> bytes = read_tensor(reader, name).value();
  double squares = 0.0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    uint16_t value = 0;
    std::memcpy(&value, bytes.data() + i, sizeof(value));
    squares += std::pow(bf16_to_f32(value), 2.0);
  }
  return std::sqrt(squares / static_cast<double>(bytes.size() / 2));
}

TEST(MakeCheckpoint, WritesAModelInShards) {
  const rotor::testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/model";
  const Result<int64_t> bytes = make_checkpoint(tiny(path));
  ASSERT_OK(bytes);
  EXPECT_TRUE(path_exists(posix_file_system(), path + "/model.safetensors.index.json").value());
  const Result<ModelFiles> model = open_model(posix_file_system(), path);
  ASSERT_OK(model);
  EXPECT_TRUE(model->extra_tensors.empty());
  int64_t expected = 0;
  for (const ExpectedTensor& tensor : expected_tensors(model->architecture)) {
    expected += model->checkpoint->find(tensor.name)->byte_size();
  }
  EXPECT_EQ(*bytes, expected);
  EXPECT_NEAR(deviation(*model->checkpoint, "model.embed_tokens.weight"), 1.0, 0.02);
  EXPECT_NEAR(deviation(*model->checkpoint, "model.layers.1.self_attn.q_proj.weight"),
              1.0 / std::sqrt(128.0), 0.002);
  EXPECT_NEAR(deviation(*model->checkpoint, "model.layers.1.mlp.down_proj.weight"),
              0.5 / std::sqrt(384.0), 0.001);
  EXPECT_EQ(deviation(*model->checkpoint, "model.norm.weight"), 1.0);
}

TEST(MakeCheckpoint, GivesTheSameTensorsHoweverTheyAreCut) {
  const rotor::testing::TemporaryDirectory directory;
  CheckpointOptions whole = tiny(directory.path() + "/whole");
  whole.max_shard_bytes = 1 << 30;
  ASSERT_OK(make_checkpoint(whole));
  ASSERT_OK(make_checkpoint(tiny(directory.path() + "/parts")));
  const auto one = CheckpointReader::open(posix_file_system(), whole.directory).value();
  const auto many =
      CheckpointReader::open(posix_file_system(), directory.path() + "/parts").value();
  for (const char* name : {"lm_head.weight", "model.layers.0.mlp.up_proj.weight"}) {
    EXPECT_EQ(read_tensor(*one, name).value(), read_tensor(*many, name).value()) << name;
  }
}

TEST(MakeCheckpoint, RefusesADirectoryThatIsThere) {
  const rotor::testing::TemporaryDirectory directory;
  EXPECT_EQ(make_checkpoint(tiny(directory.path())).status().code(), Code::kAlreadyExists);
}

TEST(MakeCheckpoint, TokensAreBytes) {
  const rotor::testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/model";
  ASSERT_OK(make_checkpoint(tiny(path)));
  Result<std::unique_ptr<Tokenizer>> tokenizer = open_tokenizer(path + "/tokenizer.json");
  ASSERT_OK(tokenizer);
  const std::string text = "Ab\n \xC3\xA9\xE2\x82\xAC 0";
  std::vector<int32_t> bytes;
  for (const char byte : text) {
    bytes.push_back(static_cast<unsigned char>(byte));
  }
  EXPECT_EQ((*tokenizer)->encode(text).value(), bytes);
}

TEST(MakeCheckpoint, WhatItWritesCanBeQuantized) {
  const rotor::testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/model";
  ASSERT_OK(make_checkpoint(tiny(path)));
  const ModelFiles model = open_model(posix_file_system(), path).value();
  const ModelPlan plan = make_plan(model.architecture, QuantOptions()).value();
  rotor::testing::run_ranks(2, [&](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);
    DigestSink sink;
    ShardTask task;
    task.end_layer = 2;
    task.calibration.seq_len = 64;
    task.evaluation.emplace();
    task.evaluation->seq_len = 64;
    for (int32_t i = 0; i < 4 * 64; ++i) {
      task.calibration.ids.push_back(i * 37 % 256);
      task.evaluation->ids.push_back(i * 91 % 256);
    }
    const auto result = ShardRunner(*backend, comm, model, plan, sink, std::move(task)).run();
    ASSERT_OK(result);
    // Nothing can be foreseen in random weights: about as many choices as the vocabulary has.
    EXPECT_GT((*result)->perplexity, 100.0);
    EXPECT_LT((*result)->perplexity, 5000.0);
  });
}

}  // namespace
}  // namespace rotor::worker::bench
