// The server in process, with real channels, and workers that round to nearest.
#include "coordinator/server.h"

#include <google/protobuf/empty.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "proto/convert.h"
#include "proto/errors.h"
#include "quant/checkpoint/verify.h"
#include "rotor/v1/jobs.grpc.pb.h"
#include "tests/support/coordinator/demo_job.h"
#include "tests/support/coordinator/rpc_worker.h"
#include "tests/support/coordinator/rtn_layer.h"
#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

using std::chrono::seconds;
using testing::RpcWorker;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() { start(demo_.options()); }

  void start(const CoordinatorOptions& options) {
    Result<std::unique_ptr<Server>> server = Server::start(posix_file_system(), clock_, options);
    ASSERT_OK(server);
    server_ = std::move(server).value();
    address_ = "127.0.0.1:" + std::to_string(server_->port());
    channel_ = grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
    jobs_ = v1::Jobs::NewStub(channel_);
  }

  /// A new server on the same state and the same port.
  void restart() {
    CoordinatorOptions options = demo_.options();
    options.listen = address_;
    server_.reset();
    start(options);
  }

  Result<v1::Job> submit(const v1::SubmitJobRequest& request) {
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = jobs_->SubmitJob(&context, request, &job);
    return status.ok() ? Result<v1::Job>(job) : Result<v1::Job>(from_grpc(status));
  }

  v1::Job get(const std::string& name) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_name(name);
    v1::Job job;
    EXPECT_OK(from_grpc(jobs_->GetJob(&context, request, &job)));
    return job;
  }

  /// Watches from `revision` until the stream ends; the events follow one another.
  std::vector<v1::JobEvent> watch(const std::string& name, int64_t revision = 1) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(120));
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_from_revision(revision);
    const auto reader = jobs_->WatchJob(&context, request);
    std::vector<v1::JobEvent> events;
    v1::JobEvent event;
    while (reader->Read(&event)) {
      EXPECT_EQ(event.revision(), revision + static_cast<int64_t>(events.size()));
      events.push_back(event);
    }
    last_watch_ = from_grpc(reader->Finish());
    return events;
  }

  void expect_verified(const std::string& directory) {
    SerialParallel serial;
    const auto report = verify_checkpoint(posix_file_system(), directory, serial);
    ASSERT_OK(report);
    EXPECT_TRUE(report->ok());
  }

  testing::DemoJob demo_;
  SystemClock clock_;
  std::string address_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Jobs::Stub> jobs_;
  Status last_watch_;
};

TEST_F(ServerTest, RunsAJobFromSubmitToACheckpointThatVerifies) {
  const Result<v1::Job> job = submit(demo_.request("r1"));
  ASSERT_OK(job);
  RpcWorker worker(address_, "g");
  const std::vector<v1::JobEvent> events = watch(job->name());
  EXPECT_OK(last_watch_);
  EXPECT_EQ(events.back().state().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(worker.committed(), 4);
  expect_verified(demo_.output());
}

TEST_F(ServerTest, TwoGroupsShareAJobThatPropagatesOriginals) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_propagate(v1::PROPAGATE_ORIGINAL);
  RpcWorker first(address_, "a");
  RpcWorker second(address_, "b");
  const Result<v1::Job> job = submit(request);
  ASSERT_OK(job);
  watch(job->name());
  EXPECT_EQ(get(job->name()).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(first.committed() + second.committed(), 4);
  expect_verified(demo_.output());
}

// faults.01
TEST_F(ServerTest, Faults01_ARestartInTheMiddleLosesNothing) {
  const Result<v1::Job> job = submit(demo_.request("r1"));
  ASSERT_OK(job);
  RpcWorker worker(address_, "g");
  while (worker.committed() < 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  restart();
  const std::vector<v1::JobEvent> events = watch(job->name());
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().state().state(), v1::JOB_STATE_SUCCEEDED);
  std::set<int32_t> committed;
  for (const v1::JobEvent& event : events) {
    if (event.has_committed()) {
      EXPECT_TRUE(committed.insert(event.committed().layer()).second) << "committed twice";
    }
  }
  EXPECT_EQ(committed.size(), 4U);
  expect_verified(demo_.output());
}

// faults.16
TEST_F(ServerTest, Faults16_AWatchThatWasCutGoesOnWithoutGapOrRepeat) {
  const Result<v1::Job> job = submit(demo_.request("r1"));
  ASSERT_OK(job);
  std::vector<v1::JobEvent> before;
  std::thread watcher([&] { before = watch(job->name()); });
  RpcWorker worker(address_, "g");
  while (worker.committed() < 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  restart();
  watcher.join();
  const std::vector<v1::JobEvent> after =
      watch(job->name(), static_cast<int64_t>(before.size()) + 1);
  const std::vector<v1::JobEvent> all = watch(job->name());
  ASSERT_EQ(before.size() + after.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const v1::JobEvent& seen = i < before.size() ? before[i] : after[i - before.size()];
    EXPECT_EQ(seen.SerializeAsString(), all[i].SerializeAsString()) << i;
  }
}

// faults.17
TEST_F(ServerTest, Faults17_AHundredSubmitsOverTheWireAreOneJob) {
  const auto names = testing::submit_at_once(100, [&] { return submit(demo_.request("same")); });
  EXPECT_EQ(names.size(), 1U);
}

TEST_F(ServerTest, ErrorsCarryReasonAndValues) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_model("missing");
  const Result<v1::Job> job = submit(request);
  EXPECT_EQ(job.status().code(), Code::kNotFound);
  EXPECT_FALSE(job.status().reason().empty());
  EXPECT_NE(job.status().message().find("missing"), std::string::npos);
}

TEST_F(ServerTest, FetchesACommittedLayerByteForByte) {
  v1::SubmitJobRequest request = demo_.request("r1");
  const Result<v1::Job> job = submit(request);
  ASSERT_OK(job);
  const auto workers = v1::Workers::NewStub(channel_);
  grpc::ClientContext attach;
  const auto stream = workers->Attach(&attach);
  v1::WorkerMessage hello;
  hello.mutable_register_()->set_group_id("g");
  hello.mutable_register_()->set_ranks(1);
  hello.mutable_register_()->set_algorithm_version(kAlgorithmVersion);
  ASSERT_TRUE(stream->Write(hello));
  v1::CoordinatorMessage message;
  while (!message.has_lease()) {
    ASSERT_TRUE(stream->Read(&message));
  }
  const v1::Lease lease = message.lease();
  testing::RtnLayer layer = testing::RtnQuantizer(lease).layer(0);
  grpc::ClientContext put;
  v1::PutTensorsResponse put_response;
  const auto writer = workers->PutTensors(&put, &put_response);
  for (const auto& part : testing::put_messages(lease, 0, layer.tensors, 300'000)) {
    ASSERT_TRUE(writer->Write(part));
  }
  writer->WritesDone();
  ASSERT_OK(from_grpc(writer->Finish()));
  EXPECT_EQ(put_response.tensors(), static_cast<int>(layer.tensors.size()));
  v1::WorkerMessage commit;
  *commit.mutable_commit() = layer.commit;
  commit.mutable_commit()->set_job(lease.job());
  commit.mutable_commit()->set_fence(lease.fence());
  ASSERT_TRUE(stream->Write(commit));
  ASSERT_TRUE(stream->Read(&message));
  ASSERT_TRUE(message.has_accepted());
  EXPECT_FALSE(message.accepted().has_refused()) << message.accepted().refused().message();

  grpc::ClientContext fetch;
  v1::FetchLayerRequest fetch_request;
  fetch_request.set_job(lease.job());
  fetch_request.set_fence(lease.fence());
  fetch_request.set_session(lease.session());
  const auto reader = workers->FetchLayer(&fetch, fetch_request);
  v1::FetchLayerResponse part;
  std::map<std::string, std::string> got;
  std::string name;
  while (reader->Read(&part)) {
    if (part.has_tensor()) {
      name = part.tensor().name();
    } else if (part.has_chunk()) {
      got[name] += part.chunk();
    }
  }
  ASSERT_OK(from_grpc(reader->Finish()));
  ASSERT_EQ(got.size(), layer.tensors.size());
  for (const StoredTensor& tensor : layer.tensors) {
    EXPECT_EQ(got[tensor.spec.name], std::string(tensor.bytes.begin(), tensor.bytes.end()));
  }

  grpc::ClientContext stale;
  fetch_request.set_fence(99);
  const auto refused = workers->FetchLayer(&stale, fetch_request);
  EXPECT_FALSE(refused->Read(&part));
  EXPECT_FAILS(from_grpc(refused->Finish()), Code::kFailedPrecondition, "STALE_FENCE", "99");
  attach.TryCancel();
}

// faults.30
TEST_F(ServerTest, Faults30_AMessageOverTheLimitIsRefusedAndTheServerLives) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->add_ignore(std::string(8 << 20, 'x'));
  EXPECT_EQ(submit(request).status().code(), Code::kResourceExhausted);
  EXPECT_OK(submit(demo_.request("r1")));
}

// faults.30
TEST_F(ServerTest, Faults30_UnknownEnumValuesAreRefused) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->set_format(static_cast<v1::Format>(77));
  EXPECT_EQ(submit(request).status().code(), Code::kInvalidArgument);
}

TEST_F(ServerTest, HealthAnswersAndReflectionWhereItIsAskedFor) {
  CoordinatorOptions options = demo_.options();
  options.reflection = true;
  server_.reset();
  start(options);
  grpc::GenericStub stub(channel_);
  const auto call = [&](const std::string& method, const std::string& bytes) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::Status status;
    const auto rpc = stub.PrepareUnaryCall(&context, method, request, &queue);
    rpc->StartCall();
    rpc->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return std::pair(status, response.Length());
  };
  // HealthCheckResponse{status: SERVING}
  const auto health = call("/grpc.health.v1.Health/Check", "");
  EXPECT_TRUE(health.first.ok()) << health.first.error_message();
  EXPECT_EQ(health.second, 2U);
  // ServerReflectionRequest{list_services: "*"}
  const auto reflection = call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                               std::string("\x3a\x01*"));
  EXPECT_TRUE(reflection.first.ok()) << reflection.first.error_message();
  EXPECT_GT(reflection.second, 20U);
}

// faults.39
TEST_F(ServerTest, Faults39_SilentStreamsLeaveRoomForTheOthers) {
  const Result<v1::Job> job = submit(demo_.request("r1"));
  ASSERT_OK(job);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>>>
      streams;
  for (int connection = 0; connection < 5; ++connection) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::Workers::NewStub(
        grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments));
    for (int stream = 0; stream < 100; ++stream) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      streams.push_back(stub->Attach(contexts.back().get()));
    }
  }
  RpcWorker worker(address_, "honest");
  while (get(job->name()).state() != v1::JOB_STATE_SUCCEEDED) {
    const auto asked = std::chrono::steady_clock::now();
    get(job->name());
    EXPECT_LT(std::chrono::steady_clock::now() - asked, seconds(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(worker.committed(), 4);
  for (size_t i = 0; i < streams.size(); ++i) {
    v1::CoordinatorMessage message;
    EXPECT_FALSE(streams[i]->Read(&message));
    const Code end = from_grpc(streams[i]->Finish()).code();
    EXPECT_TRUE(end == Code::kResourceExhausted || end == Code::kCancelled);
  }
}

// faults.40
TEST_F(ServerTest, Faults40_TheFenceOfAnotherGroupIsOfNoUse) {
  const Result<v1::Job> job = submit(demo_.request("r1"));
  ASSERT_OK(job);
  const auto workers = v1::Workers::NewStub(channel_);
  const auto hello = [](const std::string& id) {
    v1::WorkerMessage message;
    message.mutable_register_()->set_group_id(id);
    message.mutable_register_()->set_ranks(1);
    message.mutable_register_()->set_algorithm_version(kAlgorithmVersion);
    return message;
  };
  grpc::ClientContext own;
  const auto stream = workers->Attach(&own);
  ASSERT_TRUE(stream->Write(hello("own")));
  v1::CoordinatorMessage message;
  while (!message.has_lease()) {
    ASSERT_TRUE(stream->Read(&message));
  }
  const v1::Lease lease = message.lease();
  const testing::RtnLayer layer = testing::RtnQuantizer(lease).layer(0);
  const auto put = [&](const v1::Lease& as) {
    grpc::ClientContext context;
    v1::PutTensorsResponse response;
    const auto writer = workers->PutTensors(&context, &response);
    for (const auto& part : testing::put_messages(as, 0, layer.tensors, 300'000)) {
      if (!writer->Write(part)) {
        break;
      }
    }
    writer->WritesDone();
    return from_grpc(writer->Finish());
  };
  v1::Lease guessed = lease;
  guessed.set_session("a guess");
  EXPECT_FAILS(put(guessed), Code::kPermissionDenied, "NOT_YOUR_LEASE", "another group");

  grpc::ClientContext strange;
  const auto stranger = workers->Attach(&strange);
  ASSERT_TRUE(stranger->Write(hello("stranger")));
  v1::WorkerMessage commit;
  *commit.mutable_commit() = layer.commit;
  commit.mutable_commit()->set_job(lease.job());
  commit.mutable_commit()->set_fence(lease.fence());
  v1::WorkerMessage failed;
  failed.mutable_failed()->set_job(lease.job());
  failed.mutable_failed()->set_fence(lease.fence());
  failed.mutable_failed()->mutable_cause()->set_code(static_cast<int>(Code::kInvalidArgument));
  ASSERT_TRUE(stranger->Write(failed));
  ASSERT_TRUE(stranger->Write(commit));
  while (!message.has_accepted()) {
    ASSERT_TRUE(stranger->Read(&message));
  }
  EXPECT_EQ(message.accepted().refused().reason(), "STALE_FENCE");
  EXPECT_EQ(get(job->name()).state(), v1::JOB_STATE_RUNNING);

  EXPECT_OK(put(lease));
  ASSERT_TRUE(stream->Write(commit));
  do {
    ASSERT_TRUE(stream->Read(&message));
  } while (!message.has_accepted());
  EXPECT_FALSE(message.accepted().has_refused()) << message.accepted().refused().message();
  own.TryCancel();
  strange.TryCancel();
}

TEST_F(ServerTest, APortInUseIsRefused) {
  testing::DemoJob other;
  CoordinatorOptions options = other.options();
  options.listen = address_;
  EXPECT_FAILS(Server::start(posix_file_system(), clock_, options), Code::kFailedPrecondition,
               "LISTEN_FAILED", address_);
}

}  // namespace
}  // namespace rotor::coordinator
