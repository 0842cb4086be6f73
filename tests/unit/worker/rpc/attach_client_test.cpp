#include "worker/rpc/attach_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace rotor::worker {
namespace {

using namespace std::chrono_literals;

/// A coordinator that says what a test tells it to, in its order.
class ScriptedCoordinator final : public v1::Workers::Service {
 public:
  ScriptedCoordinator() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~ScriptedCoordinator() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Attach(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) override {
    v1::WorkerMessage heard;
    if (!stream->Read(&heard)) {
      return grpc::Status::OK;
    }
    v1::CoordinatorMessage message;
    message.mutable_registered()->set_heartbeat_seconds(0.01);
    {
      const std::lock_guard lock(mutex_);
      stream_ = stream;
      stream->Write(message);
    }
    while (stream->Read(&heard)) {
      const std::lock_guard lock(mutex_);
      heartbeat_ = heard.heartbeat();
    }
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
    return grpc::Status::OK;
  }

  void lease(const std::string& job, int64_t fence) {
    v1::CoordinatorMessage message;
    message.mutable_lease()->set_job(job);
    message.mutable_lease()->set_fence(fence);
    say(message);
  }
  void finish_layer(const std::string& job, int64_t fence) {
    v1::CoordinatorMessage message;
    message.mutable_finish_layer()->set_job(job);
    message.mutable_finish_layer()->set_fence(fence);
    say(message);
  }
  void revoke(const std::string& job, int64_t fence) {
    v1::CoordinatorMessage message;
    message.mutable_revoke()->set_job(job);
    message.mutable_revoke()->set_fence(fence);
    message.mutable_revoke()->set_reason("EXPIRED");
    say(message);
  }
  void accept(const std::string& job, int64_t fence, int32_t layer) {
    v1::CoordinatorMessage message;
    message.mutable_accepted()->set_job(job);
    message.mutable_accepted()->set_fence(fence);
    message.mutable_accepted()->set_layer(layer);
    say(message);
  }

  v1::Heartbeat heartbeat() {
    const std::lock_guard lock(mutex_);
    return heartbeat_;
  }
  std::string address() const { return address_; }

 private:
  void say(const v1::CoordinatorMessage& message) {
    const std::lock_guard lock(mutex_);
    ASSERT_NE(stream_, nullptr);
    ASSERT_TRUE(stream_->Write(message));
  }

  std::mutex mutex_;
  grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream_ = nullptr;
  v1::Heartbeat heartbeat_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

class AttachClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto attached = AttachClient::attach(
        grpc::CreateChannel(coordinator_.address(), grpc::InsecureChannelCredentials()),
        v1::Register(), 5s, [] { return std::vector<v1::RankState>(); });
    ASSERT_OK(attached);
    client_ = std::move(attached).value();
  }

  /// Takes the next lease; with it everything that was said before has been read.
  void take_lease() {
    const auto message = client_->next(5s);
    ASSERT_OK(message);
    ASSERT_TRUE(message->has_value() && (*message)->has_lease());
    client_->begin_lease((*message)->lease().job(), (*message)->lease().fence());
  }

  /// What is said comes by another thread.
  static bool comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) {
      std::this_thread::sleep_for(10ms);
    }
    return condition();
  }

  ScriptedCoordinator coordinator_;
  std::unique_ptr<AttachClient> client_;
};

TEST_F(AttachClientTest, APauseHandsNoLeaseOfAnotherJobBack) {
  coordinator_.lease("jobs/a", 7);
  take_lease();
  EXPECT_FALSE(client_->to_finish());
  coordinator_.finish_layer("jobs/a", 7);
  EXPECT_TRUE(comes_true([&] { return client_->to_finish(); }));
  client_->end_lease();

  for (const int64_t fence : {1, 7, 8}) {
    coordinator_.lease("jobs/b", fence);
    take_lease();
    EXPECT_FALSE(client_->to_finish()) << fence;
    client_->end_lease();
  }
  coordinator_.lease("jobs/b", 9);
  take_lease();
  coordinator_.finish_layer("jobs/b", 9);
  EXPECT_TRUE(comes_true([&] { return client_->to_finish(); }));
}

TEST_F(AttachClientTest, ALateWordOnAnotherJobsLeaseIsNotAboutThisOne) {
  coordinator_.lease("jobs/b", 2);
  take_lease();
  coordinator_.finish_layer("jobs/a", 2);
  coordinator_.finish_layer("jobs/a", 5);
  coordinator_.revoke("jobs/a", 2);
  coordinator_.revoke("jobs/a", 5);
  coordinator_.accept("jobs/b", 2, 0);
  EXPECT_OK(client_->wait_accepted(0));  // so all before it was read
  EXPECT_OK(client_->lease_status());
  EXPECT_FALSE(client_->to_finish());
}

TEST_F(AttachClientTest, AnAcceptedLayerOfAnotherJobIsNotThisOnes) {
  coordinator_.lease("jobs/b", 2);
  take_lease();
  coordinator_.accept("jobs/a", 2, 0);
  coordinator_.revoke("jobs/b", 2);
  EXPECT_FAILS(client_->wait_accepted(0), Code::kAborted, "LEASE_LOST", "EXPIRED");
}

TEST_F(AttachClientTest, ARevokeOfTheLeaseEndsIt) {
  coordinator_.lease("jobs/a", 7);
  take_lease();
  EXPECT_OK(client_->lease_status());
  coordinator_.revoke("jobs/a", 7);
  EXPECT_TRUE(comes_true([&] { return !client_->lease_status().ok(); }));
  EXPECT_FAILS(client_->lease_status(), Code::kAborted, "LEASE_LOST", "EXPIRED");
}

TEST_F(AttachClientTest, AHeartbeatTellsWhoseFenceItHas) {
  coordinator_.lease("jobs/a", 8);
  take_lease();
  EXPECT_TRUE(comes_true([&] { return coordinator_.heartbeat().fence() == 8; }));
  EXPECT_EQ(coordinator_.heartbeat().job(), "jobs/a");
  client_->end_lease();
  EXPECT_TRUE(comes_true([&] { return coordinator_.heartbeat().fence() == 0; }));
}

TEST_F(AttachClientTest, AWordOnALeaseThatIsReadBeforeItBeginsIsKept) {
  coordinator_.lease("jobs/a", 7);
  coordinator_.finish_layer("jobs/a", 7);
  coordinator_.revoke("jobs/a", 7);
  coordinator_.lease("jobs/a", 8);
  const auto first = client_->next(5s);
  ASSERT_OK(first);
  ASSERT_OK(client_->next(5s));  // the second: all between them was read
  client_->begin_lease((*first)->lease().job(), (*first)->lease().fence());
  EXPECT_TRUE(client_->to_finish());
  EXPECT_FAILS(client_->lease_status(), Code::kAborted, "LEASE_LOST", "EXPIRED");
}

}  // namespace
}  // namespace rotor::worker
