#include "tests/support/coordinator/rpc_worker.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>

#include "proto/convert.h"
#include "tests/support/coordinator/rtn_layer.h"

namespace rotor::testing {
namespace {

using std::chrono::milliseconds;

bool put(v1::Workers::Stub* stub, const v1::Lease& lease, int32_t index,
         const std::vector<StoredTensor>& tensors) {
  grpc::ClientContext context;
  v1::PutTensorsResponse response;
  const auto writer = stub->PutTensors(&context, &response);
  for (const v1::PutTensorsRequest& message : put_messages(lease, index, tensors)) {
    if (!writer->Write(message)) {
      break;
    }
  }
  writer->WritesDone();
  return writer->Finish().ok();
}

}  // namespace

RpcWorker::RpcWorker(std::string address, std::string group_id)
    : address_(std::move(address)), group_id_(std::move(group_id)) {
  thread_ = std::thread([this] { run(); });
}

RpcWorker::~RpcWorker() {
  stop();
}

void RpcWorker::stop() {
  stopping_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void RpcWorker::run() {
  while (!stopping_) {
    const auto stub =
        v1::Workers::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
    serve(stub.get());
    std::this_thread::sleep_for(milliseconds(50));
  }
}

void RpcWorker::serve(v1::Workers::Stub* stub) {
  grpc::ClientContext context;
  const auto stream = stub->Attach(&context);
  v1::WorkerMessage hello;
  hello.mutable_register_()->set_group_id(group_id_);
  hello.mutable_register_()->set_host("test");
  hello.mutable_register_()->set_ranks(1);
  hello.mutable_register_()->set_device("cpu");
  hello.mutable_register_()->set_algorithm_version(kAlgorithmVersion);
  stream->Write(hello);
  // Read() waits for as long as the stream stands; the watchdog ends it when the test stops.
  std::atomic<bool> over{false};
  std::thread watchdog([&] {
    while (!over && !stopping_) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    if (!over) {
      context.TryCancel();
    }
  });
  v1::CoordinatorMessage message;
  while (!stopping_ && stream->Read(&message)) {
    if (message.has_lease() && !run_lease(stub, stream.get(), message.lease())) {
      context.TryCancel();
      break;
    }
  }
  over = true;
  watchdog.join();
  stream->Finish();
}

bool RpcWorker::run_lease(v1::Workers::Stub* stub, Stream* stream, const v1::Lease& lease) {
  RtnQuantizer quantizer(lease);
  const auto& done = lease.committed_layers();
  for (int32_t index = lease.first_layer(); index < lease.end_layer(); ++index) {
    if (std::find(done.begin(), done.end(), index) != done.end()) {
      continue;
    }
    RtnLayer layer = quantizer.layer(index);
    if (stopping_ || !put(stub, lease, index, layer.tensors)) {
      return false;
    }
    v1::WorkerMessage commit;
    *commit.mutable_commit() = layer.commit;
    commit.mutable_commit()->set_job(lease.job());
    commit.mutable_commit()->set_fence(lease.fence());
    v1::CoordinatorMessage answer;
    if (!stream->Write(commit) || !stream->Read(&answer) || !answer.has_accepted() ||
        answer.accepted().has_refused()) {
      return false;
    }
    ++committed_;
  }
  v1::WorkerMessage finished;
  finished.mutable_finished()->set_job(lease.job());
  finished.mutable_finished()->set_fence(lease.fence());
  return stream->Write(finished);
}

}  // namespace rotor::testing
