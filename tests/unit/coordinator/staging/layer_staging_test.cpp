#include "coordinator/staging/layer_staging.h"

#include <gtest/gtest.h>

#include <thread>

#include "quant/base/sha256.h"
#include "quant/checkpoint/safetensors_reader.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

const std::vector<TensorSpec> kSpecs{{"a.packed", DType::kU8, {4, 8}},
                                     {"a.scale", DType::kF32, {4}}};
const std::string kPacked(32, 'p');
const std::string kScale(16, 's');

v1::TensorStart start(const TensorSpec& spec) {
  v1::TensorStart message;
  message.set_name(spec.name);
  message.set_dtype(std::string(dtype_name(spec.dtype)));
  message.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
  return message;
}

v1::CommitLayer manifest() {
  v1::CommitLayer commit;
  for (const auto& [spec, bytes] : {std::pair(kSpecs[0], kPacked), std::pair(kSpecs[1], kScale)}) {
    v1::TensorInfo* info = commit.add_tensors();
    info->set_name(spec.name);
    info->set_dtype(std::string(dtype_name(spec.dtype)));
    info->mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
    info->set_sha256(sha256_hex(bytes));
  }
  return commit;
}

class LayerStagingTest : public ::testing::Test {
 protected:
  LayerStagingTest() {
    Result<std::shared_ptr<LayerStaging>> made = LayerStaging::create(fs_, path_, kSpecs);
    EXPECT_OK(made);
    staging_ = std::move(made).value();
  }

  Status put(const TensorSpec& spec, const std::string& bytes) {
    ROTOR_ASSIGN_OR_RETURN(const auto upload, staging_->begin(start(spec)));
    for (size_t i = 0; i < bytes.size(); i += 5) {
      ROTOR_RETURN_IF_ERROR(upload->write(bytes.substr(i, 5)));
    }
    return upload->finish(sha256_hex(bytes));
  }

  testing::TemporaryDirectory directory_;
  testing::FaultyFileSystem fs_;
  std::string path_ = directory_ / "layer.safetensors";
  std::shared_ptr<LayerStaging> staging_;
};

TEST_F(LayerStagingTest, PublishesWhatRanksPutSideBySide) {
  std::thread other([&] { EXPECT_OK(put(kSpecs[0], kPacked)); });
  EXPECT_OK(put(kSpecs[1], kScale));
  other.join();
  ASSERT_OK(staging_->check(manifest()));
  EXPECT_EQ(*path_exists(fs_, path_), false);
  ASSERT_OK(staging_->publish());
  const auto file = SafetensorsFile::open(fs_, path_);
  ASSERT_OK(file);
  std::string bytes(32, ' ');
  ASSERT_OK((*file)->read(*(*file)->find("a.packed"), 0, bytes.data(), bytes.size()));
  EXPECT_EQ(bytes, kPacked);
}

TEST_F(LayerStagingTest, RefusesWhatThePlanDoesNotHave) {
  TensorSpec spec = kSpecs[0];
  spec.name = "b.packed";
  EXPECT_FAILS(staging_->begin(start(spec)), Code::kInvalidArgument, "BAD_UPLOAD", "b.packed");
  spec = kSpecs[0];
  spec.shape = {8, 4};
  EXPECT_FAILS(staging_->begin(start(spec)), Code::kInvalidArgument, "BAD_UPLOAD", "U8 [4, 8]");
  v1::TensorStart wrong = start(kSpecs[0]);
  wrong.set_dtype("Q4");
  EXPECT_FAILS(staging_->begin(wrong), Code::kInvalidArgument, "BAD_UPLOAD", "Q4");
}

TEST_F(LayerStagingTest, RefusesTooManyAndTooFewBytes) {
  EXPECT_FAILS(put(kSpecs[0], kPacked + "x"), Code::kInvalidArgument, "BAD_UPLOAD", "more bytes");
  EXPECT_FAILS(put(kSpecs[0], kPacked.substr(1)), Code::kInvalidArgument, "BAD_UPLOAD",
               "31 bytes of 32");
  EXPECT_OK(put(kSpecs[0], kPacked));
}

TEST_F(LayerStagingTest, RefusesAWrongDigestAndTakesTheTensorAgain) {
  {
    const auto upload = staging_->begin(start(kSpecs[0]));
    ASSERT_OK(upload);
    ASSERT_OK((*upload)->write(kPacked));
    EXPECT_FAILS((*upload)->finish(sha256_hex("other")), Code::kDataLoss, "DIGEST_MISMATCH",
                 "a.packed");
  }
  EXPECT_FAILS(staging_->check(manifest()), Code::kFailedPrecondition, "INCOMPLETE_LAYER",
               "a.packed has not been put");
  EXPECT_OK(put(kSpecs[0], kPacked));
}

TEST_F(LayerStagingTest, OneStreamATensorAtATime) {
  const auto upload = staging_->begin(start(kSpecs[0]));
  ASSERT_OK(upload);
  EXPECT_FAILS(staging_->begin(start(kSpecs[0])), Code::kAborted, "UPLOAD_RUNNING", "a.packed");
}

TEST_F(LayerStagingTest, ACommitMustNameEveryTensorWithItsDigest) {
  ASSERT_OK(put(kSpecs[0], kPacked));
  ASSERT_OK(put(kSpecs[1], kScale));
  v1::CommitLayer commit = manifest();
  commit.mutable_tensors()->RemoveLast();
  EXPECT_FAILS(staging_->check(commit), Code::kFailedPrecondition, "INCOMPLETE_LAYER", "a.scale");
  commit = manifest();
  commit.mutable_tensors(1)->set_sha256(sha256_hex("other"));
  EXPECT_FAILS(staging_->check(commit), Code::kDataLoss, "DIGEST_MISMATCH", "a.scale");
  commit = manifest();
  *commit.add_tensors() = commit.tensors(0);
  EXPECT_FAILS(staging_->check(commit), Code::kInvalidArgument, "BAD_UPLOAD", "twice");
  commit = manifest();
  commit.mutable_tensors(0)->set_name("zz");
  EXPECT_FAILS(staging_->check(commit), Code::kInvalidArgument, "BAD_UPLOAD", "zz");
  EXPECT_OK(staging_->check(manifest()));
  EXPECT_FAILS(staging_->begin(start(kSpecs[0])), Code::kAborted, "UPLOAD_RUNNING", "committed");
}

// faults.06
TEST_F(LayerStagingTest, Faults06_ARevokedLeaseWritesNothingMore) {
  const auto upload = staging_->begin(start(kSpecs[0]));
  ASSERT_OK(upload);
  staging_->revoke();
  EXPECT_FAILS((*upload)->write(kPacked), Code::kFailedPrecondition, "STALE_FENCE", "lease");
  EXPECT_FAILS(staging_->begin(start(kSpecs[1])), Code::kFailedPrecondition, "STALE_FENCE",
               "lease");
  staging_->discard();
  EXPECT_EQ(*path_exists(fs_, SafetensorsWriter::partial_path(path_)), false);
}

// faults.11
TEST_F(LayerStagingTest, Faults11_AFullDiskIsNamed) {
  fs_.plan().disk_bytes = fs_.plan().bytes_written + 10;
  EXPECT_FAILS(put(kSpecs[0], kPacked), Code::kResourceExhausted, "DISK_FULL", path_);
}

// faults.12
TEST_F(LayerStagingTest, Faults12_AFailedSyncIsNotACommit) {
  ASSERT_OK(put(kSpecs[0], kPacked));
  ASSERT_OK(put(kSpecs[1], kScale));
  ASSERT_OK(staging_->check(manifest()));
  fs_.plan().fail_at = fs_.plan().calls;
  EXPECT_FALSE(staging_->publish().ok());
  EXPECT_EQ(*path_exists(posix_file_system(), path_), false);
}

TEST(LayerStaging, ALayerWithoutTensorsHasNoFile) {
  const auto staging = LayerStaging::create(posix_file_system(), "/no/such/path", {});
  ASSERT_OK(staging);
  EXPECT_OK((*staging)->check({}));
  EXPECT_OK((*staging)->publish());
}

}  // namespace
}  // namespace rotor::coordinator
