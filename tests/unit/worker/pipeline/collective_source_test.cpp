#include "worker/pipeline/collective_source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "quant/checkpoint/checkpoint_reader.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/thread_group.h"

namespace rotor::worker {
namespace {

constexpr char kTensor[] = "model.layers.1.mlp.down_proj.weight";  // BF16 [256, 768]
constexpr char kVector[] = "model.norm.weight";                    // one row: one rank reads it

std::unique_ptr<CheckpointReader> open_checkpoint(const std::string& directory) {
  Result<std::unique_ptr<CheckpointReader>> reader =
      CheckpointReader::open(posix_file_system(), directory);
  EXPECT_TRUE(reader.ok()) << reader.status().to_string();
  return std::move(reader).value();
}

std::unique_ptr<CheckpointReader> open_demo() {
  return open_checkpoint(std::string(ROTOR_SOURCE_DIR) + "/demo/model");
}

std::vector<uint8_t> load(CollectiveSource& source, Backend& backend, const std::string& name) {
  Result<Tensor> tensor = source.load(backend, name, source.shape(name).value());
  EXPECT_OK(tensor);
  std::vector<uint8_t> bytes(tensor->bytes());
  EXPECT_OK(backend.download(*tensor, bytes.data(), bytes.size()));
  return bytes;
}

TEST(CollectiveSource, GivesTheBytesOfTheFile) {
  const std::unique_ptr<CheckpointReader> reader = open_demo();
  for (const bool ahead : {false, true}) {
    for (const int ranks : {1, 2, 3, 7}) {
      rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
        const std::unique_ptr<Backend> backend = make_cpu_backend(1);
        CollectiveSource source(*reader, comm);
        for (int layer = 0; layer < 2; ++layer) {  // the memory of the first is used again
          if (ahead) {
            source.read_ahead(*backend, {kTensor, kVector, "no.such.tensor"});
          }
          EXPECT_EQ(load(source, *backend, kVector), read_tensor(*reader, kVector).value());
          EXPECT_EQ(load(source, *backend, kTensor), read_tensor(*reader, kTensor).value());
          const char* other = "model.layers.0.mlp.up_proj.weight";  // not read ahead
          EXPECT_EQ(load(source, *backend, other), read_tensor(*reader, other).value());
        }
      });
    }
  }
}

TEST(CollectiveSource, AShardThatWasCutIsEveryRanksError) {
  const rotor::testing::TemporaryDirectory directory;
  const std::string shard = directory / "model.safetensors";
  ASSERT_OK(copy_file(posix_file_system(),
                      std::string(ROTOR_SOURCE_DIR) + "/demo/model/model.safetensors", shard));
  const std::unique_ptr<CheckpointReader> reader = open_checkpoint(directory.path());
  std::filesystem::resize_file(shard, 100'000);
  for (const bool ahead : {false, true}) {
    rotor::testing::run_ranks(3, [&](Communicator& comm) {
      const std::unique_ptr<Backend> backend = make_cpu_backend(1);
      CollectiveSource source(*reader, comm);
      if (ahead) {
        source.read_ahead(*backend, {kTensor});
      }
      const Status status = source.load(*backend, kTensor, source.shape(kTensor).value()).status();
      EXPECT_EQ(status.reason(), "SOURCE_CHANGED") << status.to_string();
      EXPECT_NE(status.message().find(shard), std::string::npos) << status.to_string();
    });
  }
}

TEST(CollectiveSource, NamesAMissingTensorOnEveryRank) {
  const std::unique_ptr<CheckpointReader> reader = open_demo();
  rotor::testing::run_ranks(2, [&](Communicator& comm) {
    CollectiveSource source(*reader, comm);
    const Status status = source.shape("no.such.tensor").status();
    EXPECT_EQ(status.code(), Code::kNotFound);
    EXPECT_EQ(status.details().at("tensor"), "no.such.tensor");
  });
}

}  // namespace
}  // namespace rotor::worker
