#include "coordinator/staging/upload_session.h"

#include <gtest/gtest.h>

#include "quant/base/sha256.h"
#include "tests/support/coordinator/rtn_layer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

class UploadSessionTest : public ::testing::Test {
 protected:
  UploadSessionTest() {
    Result<std::shared_ptr<LayerStaging>> made =
        LayerStaging::create(posix_file_system(), directory_ / "l.safetensors", {tensor_.spec});
    EXPECT_OK(made);
    staging_ = std::move(made).value();
    v1::Lease lease;
    lease.set_job("jobs/x");
    lease.set_fence(1);
    messages_ = testing::put_messages(lease, 0, {tensor_}, 4);
  }

  /// Accepts the messages with these indexes until one is refused.
  Status accept(const std::vector<size_t>& indexes) {
    for (const size_t index : indexes) {
      ROTOR_RETURN_IF_ERROR(session_.accept(messages_[index]));
    }
    return {};
  }

  testing::TemporaryDirectory directory_;
  StoredTensor tensor_{{"t", DType::kU8, {10}}, std::vector<uint8_t>(10, 7)};
  std::shared_ptr<LayerStaging> staging_;
  // header, start, three chunks, end
  std::vector<v1::PutTensorsRequest> messages_;
  UploadSession session_{[this](const v1::PutHeader&) { return staging_; }};
};

TEST_F(UploadSessionTest, CountsTensorsAndBytes) {
  ASSERT_EQ(messages_.size(), 6U);
  ASSERT_OK(accept({0, 1, 2, 3, 4, 5}));
  const auto done = session_.finish();
  ASSERT_OK(done);
  EXPECT_EQ(done->tensors(), 1);
  EXPECT_EQ(done->bytes(), 10);
  EXPECT_EQ(session_.job(), "jobs/x");
}

TEST_F(UploadSessionTest, RefusesMessagesOutOfOrder) {
  for (const std::vector<size_t>& order :
       {std::vector<size_t>{1}, {2}, {5}, {0, 0}, {0, 2}, {0, 5}, {0, 1, 1}, {0, 1, 5}}) {
    session_ = UploadSession([this](const v1::PutHeader&) { return staging_; });
    EXPECT_FAILS(accept(order), Code::kInvalidArgument, "BAD_UPLOAD", "");
  }
  EXPECT_FAILS(session_.accept({}), Code::kInvalidArgument, "BAD_UPLOAD", "without a part");
}

TEST_F(UploadSessionTest, RefusesAStreamThatEndsWithinATensor) {
  ASSERT_OK(accept({0, 1, 2}));
  EXPECT_FAILS(session_.finish(), Code::kInvalidArgument, "BAD_UPLOAD", "within a tensor");
}

// faults.30
TEST_F(UploadSessionTest, Faults30_RefusesALargeChunk) {
  ASSERT_OK(accept({0, 1}));
  v1::PutTensorsRequest large;
  large.set_chunk(std::string(UploadSession::kMostChunkBytes + 1, 'x'));
  EXPECT_FAILS(session_.accept(large), Code::kInvalidArgument, "BAD_UPLOAD", "1 MiB");
}

}  // namespace
}  // namespace rotor::coordinator
