// One Attach stream: reads the group's messages on the caller's thread, sends the core's on another
// one, and tells the core when the stream is over.
//
// Thread-safety: run() once, on the thread that gRPC serves the call with.
#pragma once

#include <grpcpp/server_context.h>

#include <functional>

#include "coordinator/jobs/core.h"
#include "rotor/v1/workers.grpc.pb.h"

namespace rotor::coordinator {

class AttachSession {
 public:
  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>;

  AttachSession(Core* core, grpc::ServerContext* context, Stream* stream)
      : core_(core), context_(context), stream_(stream) {}

  /// Returns when the group has gone, or the core closed its outbox. `spoken` is asked once the
  /// first message is there, and may refuse.
  Status run(const std::function<Status()>& spoken);

 private:
  void send_loop(Outbox* outbox);
  void handle(int64_t group, const v1::WorkerMessage& message);

  Core* core_;
  grpc::ServerContext* context_;
  Stream* stream_;
};

}  // namespace rotor::coordinator
