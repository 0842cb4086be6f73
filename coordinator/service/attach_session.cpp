#include "coordinator/service/attach_session.h"

#include <memory>
#include <thread>

namespace rotor::coordinator {

Status AttachSession::run(const std::function<Status()>& spoken) {
  v1::WorkerMessage message;
  if (!stream_->Read(&message) || !message.has_register_()) {
    return invalid_argument("Attach: the first message must be Register")
        .with_reason("BAD_REGISTRATION");
  }
  ROTOR_RETURN_IF_ERROR(spoken());
  const auto outbox = std::make_shared<Outbox>();
  ROTOR_ASSIGN_OR_RETURN(const int64_t group, core_->attach(message.register_(), outbox));
  std::thread sender([this, &outbox] { send_loop(outbox.get()); });
  while (stream_->Read(&message)) {
    handle(group, message);
  }
  core_->detach(group);
  outbox->close();
  sender.join();
  return {};
}

void AttachSession::send_loop(Outbox* outbox) {
  while (const std::optional<v1::CoordinatorMessage> message = outbox->pop()) {
    if (!stream_->Write(*message)) {
      break;
    }
  }
  // Ends the Read above, so that a group whose outbox was closed does not linger.
  context_->TryCancel();
}

void AttachSession::handle(int64_t group, const v1::WorkerMessage& message) {
  switch (message.message_case()) {
    case v1::WorkerMessage::kHeartbeat:
      return core_->heartbeat(group, message.heartbeat());
    case v1::WorkerMessage::kProgress:
      return core_->progress(group, message.progress());
    case v1::WorkerMessage::kForward:
      return core_->forward(group, message.forward());
    case v1::WorkerMessage::kCommit:
      return core_->commit(group, message.commit());
    case v1::WorkerMessage::kFinished:
      return core_->shard_finished(group, message.finished());
    case v1::WorkerMessage::kFailed:
      return core_->shard_failed(group, message.failed());
    case v1::WorkerMessage::kDraining:
      return core_->draining(group, message.draining().reason());
    case v1::WorkerMessage::kRegister:
    case v1::WorkerMessage::MESSAGE_NOT_SET:
      return;  // of a newer release, or a second Register: nothing to do
  }
}

}  // namespace rotor::coordinator
