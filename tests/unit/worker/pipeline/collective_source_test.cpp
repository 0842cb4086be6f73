#include "worker/pipeline/collective_source.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/thread_group.h"

namespace rotor::worker {
namespace {

constexpr char kTensor[] = "model.layers.1.mlp.down_proj.weight";  // BF16 [256, 768]
constexpr int64_t kRowBytes = 768 * 2;

std::unique_ptr<CheckpointReader> open_demo() {
  Result<std::unique_ptr<CheckpointReader>> reader =
      CheckpointReader::open(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  EXPECT_TRUE(reader.ok()) << reader.status().to_string();
  return std::move(reader).value();
}

TEST(CollectiveSource, GivesTheBytesOfTheFileHoweverTheyAreAskedFor) {
  const std::unique_ptr<CheckpointReader> reader = open_demo();
  const std::vector<uint8_t> expected = read_tensor(*reader, kTensor).value();
  for (const bool ahead : {false, true}) {
    for (const int ranks : {1, 2, 3}) {
      for (const int64_t rows_a_call : {int64_t{256}, int64_t{100}, int64_t{1}}) {
        rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
          CollectiveSource source(*reader, comm);
          if (ahead) {
            source.read_ahead({kTensor, "model.norm.weight", "no.such.tensor"});
          }
          std::vector<uint8_t> got(expected.size(), 0xAB);
          for (int64_t row = 0; row < 256; row += rows_a_call) {
            const int64_t count = std::min<int64_t>(rows_a_call, 256 - row);
            ASSERT_TRUE(source.read_rows(kTensor, row, count, got.data() + row * kRowBytes).ok());
          }
          EXPECT_EQ(got, expected) << ranks << " ranks, " << rows_a_call << " rows a call";
        });
      }
    }
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
