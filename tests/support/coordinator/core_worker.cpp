#include "tests/support/coordinator/core_worker.h"

#include <gtest/gtest.h>

#include "coordinator/staging/upload_session.h"
#include "proto/convert.h"
#include "proto/errors.h"

namespace rotor::testing {

Status upload(coordinator::Core* core, const std::vector<v1::PutTensorsRequest>& messages) {
  coordinator::UploadSession session(
      [core](const v1::PutHeader& header) { return core->open_upload(header); });
  for (const v1::PutTensorsRequest& message : messages) {
    if (Status accepted = session.accept(message); !accepted.ok()) {
      core->upload_failed(session.job(), accepted);
      return accepted;
    }
  }
  return session.finish().status();
}

CoreWorker::CoreWorker(coordinator::Core* core, const std::string& group_id)
    : core_(core), outbox_(std::make_shared<coordinator::Outbox>()) {
  v1::Register registration;
  registration.set_group_id(group_id);
  registration.set_host("host-" + group_id);
  registration.set_ranks(1);
  registration.set_device("cpu");
  registration.set_algorithm_version(kAlgorithmVersion);
  const Result<int64_t> group = core->attach(registration, outbox_);
  EXPECT_TRUE(group.ok()) << group.status().to_string();
  group_ = group.ok() ? *group : 0;
}

CoreWorker::~CoreWorker() {
  leave();
}

void CoreWorker::leave() {
  if (core_ != nullptr) {
    core_->detach(group_);
  }
  outbox_->close();
}

void CoreWorker::forget_core() {
  core_ = nullptr;
}

std::optional<v1::CoordinatorMessage> CoreWorker::next() {
  return outbox_->empty() ? std::nullopt : outbox_->pop();
}

std::optional<v1::Lease> CoreWorker::next_lease() {
  while (const std::optional<v1::CoordinatorMessage> message = next()) {
    if (message->has_lease()) {
      return message->lease();
    }
  }
  return std::nullopt;
}

RtnLayer& CoreWorker::layer(const v1::Lease& lease, int32_t index) {
  if (!quantizer_) {
    quantizer_ = std::make_unique<RtnQuantizer>(lease);
  }
  const auto found = layers_.find(index);
  return found != layers_.end() ? found->second
                                : layers_.emplace(index, quantizer_->layer(index)).first->second;
}

Status CoreWorker::put(const v1::Lease& lease, int32_t index) {
  return upload(core_, put_messages(lease, index, layer(lease, index).tensors));
}

Status CoreWorker::commit(const v1::Lease& lease, int32_t index) {
  v1::CommitLayer commit = layer(lease, index).commit;
  commit.set_job(lease.job());
  commit.set_fence(lease.fence());
  core_->commit(group_, commit);
  while (const std::optional<v1::CoordinatorMessage> message = next()) {
    if (message->has_accepted()) {
      return message->accepted().has_refused() ? from_cause(message->accepted().refused())
                                               : Status();
    }
  }
  return internal_error("the commit was not answered");
}

Status CoreWorker::put_and_commit(const v1::Lease& lease, int32_t index) {
  ROTOR_RETURN_IF_ERROR(put(lease, index));
  return commit(lease, index);
}

void CoreWorker::beat(const std::optional<v1::Lease>& lease) {
  v1::Heartbeat heartbeat;
  if (lease) {
    heartbeat.set_job(lease->job());
    heartbeat.set_fence(lease->fence());
  }
  core_->heartbeat(group_, heartbeat);
}

void CoreWorker::finish(const v1::Lease& lease) {
  v1::ShardFinished finished;
  finished.set_job(lease.job());
  finished.set_fence(lease.fence());
  core_->shard_finished(group_, finished);
}

void CoreWorker::fail(const v1::Lease& lease, const Status& cause) {
  v1::ShardFailed failed;
  failed.set_job(lease.job());
  failed.set_fence(lease.fence());
  *failed.mutable_cause() = to_cause(cause);
  core_->shard_failed(group_, failed);
}

}  // namespace rotor::testing
