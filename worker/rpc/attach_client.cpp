#include "worker/rpc/attach_client.h"

#include <algorithm>
#include <utility>

#include "proto/errors.h"

namespace rotor::worker {
namespace {

Status stream_broken() {
  return unavailable("the connection to the coordinator is broken").with_reason("LEASE_LOST");
}

Status no_answer() {
  return unavailable("no coordinator answers").with_reason("COORDINATOR_UNREACHABLE");
}

}  // namespace

AttachClient::AttachClient(std::shared_ptr<grpc::Channel> channel, RankReport ranks)
    : ranks_(std::move(ranks)), stub_(v1::Workers::NewStub(std::move(channel))) {}

Result<std::unique_ptr<AttachClient>> AttachClient::attach(std::shared_ptr<grpc::Channel> channel,
                                                           const v1::Register& registration,
                                                           std::chrono::milliseconds timeout,
                                                           RankReport ranks) {
  const auto deadline = std::chrono::system_clock::now() + timeout;
  if (!channel->WaitForConnected(deadline)) {
    return no_answer();
  }
  std::unique_ptr<AttachClient> client(new AttachClient(std::move(channel), std::move(ranks)));
  client->stream_ = client->stub_->Attach(&client->context_);
  v1::WorkerMessage hello;
  *hello.mutable_register_() = registration;
  client->reader_ = std::thread([raw = client.get()] { raw->read_loop(); });
  ROTOR_RETURN_IF_ERROR(client->send(hello));
  {
    std::unique_lock lock(client->mutex_);
    const bool answered = client->changed_.wait_until(
        lock, deadline, [&] { return client->registered_.has_value() || client->broken_; });
    if (!client->registered_.has_value() && client->broken_ && !client->end_.ok()) {
      return client->end_;
    }
    if (!answered || !client->registered_.has_value()) {
      return unavailable("the coordinator did not answer the registration")
          .with_reason("COORDINATOR_UNREACHABLE");
    }
  }
  client->heartbeat_ = std::thread([raw = client.get()] { raw->heartbeat_loop(); });
  return client;
}

AttachClient::~AttachClient() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (heartbeat_.joinable()) {
    heartbeat_.join();
  }
  // What was sent last (a finished shard) must not be torn away with the call: the coordinator ends
  // the stream once it has read to its end, and only a dead one is cut off.
  {
    const std::lock_guard lock(write_mutex_);
    if (!finished_) {
      stream_->WritesDone();
    }
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(2), [this] { return broken_; });
  }
  context_.TryCancel();
  reader_.join();
}

Status AttachClient::send(const v1::WorkerMessage& message) {
  const std::lock_guard lock(write_mutex_);
  return !finished_ && stream_->Write(message) ? Status() : stream_broken();
}

void AttachClient::read_loop() {
  v1::CoordinatorMessage message;
  while (stream_->Read(&message)) {
    {
      const std::lock_guard lock(mutex_);
      switch (message.message_case()) {
        case v1::CoordinatorMessage::kRegistered:
          registered_ = message.registered();
          break;
        case v1::CoordinatorMessage::kAccepted:
          accepted_.push_back(message.accepted());
          break;
        case v1::CoordinatorMessage::kRevoke:
          revoked_.push_back(message.revoke());
          break;
        case v1::CoordinatorMessage::kFinishLayer:
          finishing_.push_back(message.finish_layer());
          break;
        default:
          inbox_.push_back(message);
          break;
      }
    }
    changed_.notify_all();
  }
  Status end;
  {
    const std::lock_guard lock(write_mutex_);
    finished_ = true;
    end = from_grpc(stream_->Finish());
  }
  {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    end_ = std::move(end);
  }
  changed_.notify_all();
}

void AttachClient::heartbeat_loop() {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> period(registered_->heartbeat_seconds());
  while (!stop_ && !broken_) {
    v1::WorkerMessage message;
    message.mutable_heartbeat()->set_job(job_);
    message.mutable_heartbeat()->set_fence(fence_);
    lock.unlock();
    for (v1::RankState& rank : ranks_()) {
      *message.mutable_heartbeat()->add_ranks() = std::move(rank);
    }
    const bool sent = send(message).ok();
    lock.lock();
    if (!sent) {
      return;  // the reader sees the end of the stream too
    }
    changed_.wait_for(lock, period, [this] { return stop_ || broken_; });
  }
}

Result<std::optional<v1::CoordinatorMessage>> AttachClient::next(
    std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return !inbox_.empty() || broken_; });
  if (!inbox_.empty()) {
    std::optional<v1::CoordinatorMessage> message(std::move(inbox_.front()));
    inbox_.pop_front();
    return message;
  }
  if (broken_) {
    return broken_locked();
  }
  return std::optional<v1::CoordinatorMessage>();
}

void AttachClient::begin_lease(std::string job, int64_t fence) {
  const std::lock_guard lock(mutex_);
  job_ = std::move(job);
  fence_ = fence;
}

void AttachClient::end_lease() {
  const std::lock_guard lock(mutex_);
  job_.clear();
  fence_ = 0;
  accepted_.clear();
  revoked_.clear();
  finishing_.clear();
}

Status AttachClient::wait_accepted(int layer) {
  std::unique_lock lock(mutex_);
  while (true) {
    while (!accepted_.empty()) {
      const v1::LayerAccepted answer = std::move(accepted_.front());
      accepted_.pop_front();
      if (is_of_lease(answer) && answer.layer() == layer) {
        return answer.has_refused() ? from_cause(answer.refused()) : Status();
      }
    }
    ROTOR_RETURN_IF_ERROR(lease_status_locked());
    changed_.wait(lock);
  }
}

Status AttachClient::lease_status() {
  const std::lock_guard lock(mutex_);
  return lease_status_locked();
}

bool AttachClient::to_finish() {
  const std::lock_guard lock(mutex_);
  return std::any_of(finishing_.begin(), finishing_.end(),
                     [this](const v1::FinishLayer& word) { return is_of_lease(word); });
}

Status AttachClient::broken_locked() const {
  // The coordinator's own word, where it gave one, says more than that the stream is gone.
  return end_.ok() ? stream_broken() : end_;
}

Status AttachClient::lease_status_locked() const {
  if (broken_) {
    return broken_locked();
  }
  const auto revoked = std::find_if(revoked_.begin(), revoked_.end(),
                                    [this](const v1::Revoke& word) { return is_of_lease(word); });
  if (revoked != revoked_.end()) {
    return aborted("the coordinator took the lease back: " + revoked->reason())
        .with_reason("LEASE_LOST");
  }
  return {};
}

}  // namespace rotor::worker
