// A group's standing with the coordinator: the Attach stream of its first rank, with its
// heartbeats.
//
// Owns two threads: one reads the stream, one sends heartbeats, so that neither waits for a layer.
// Thread-safety: all members from any thread.
// Errors: UNAVAILABLE once the stream is broken; the object is then of no further use.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "quant/base/status.h"
#include "rotor/v1/workers.grpc.pb.h"

namespace rotor::worker {

class AttachClient {
 public:
  /// What the heartbeats tell of the group's ranks; called on their thread.
  using RankReport = std::function<std::vector<v1::RankState>()>;

  /// Registers, and waits for the answer up to `timeout`.
  static Result<std::unique_ptr<AttachClient>> attach(std::shared_ptr<grpc::Channel> channel,
                                                      const v1::Register& registration,
                                                      std::chrono::milliseconds timeout,
                                                      RankReport ranks);
  ~AttachClient();
  AttachClient(const AttachClient&) = delete;
  AttachClient& operator=(const AttachClient&) = delete;

  Status send(const v1::WorkerMessage& message);
  /// The next lease or shutdown; empty after `timeout`. Error: the stream is broken.
  Result<std::optional<v1::CoordinatorMessage>> next(std::chrono::milliseconds timeout);
  /// Waits for the coordinator's word on a layer. Errors: its refusal; ABORTED (LEASE_LOST) when
  /// the lease goes first; UNAVAILABLE.
  Status wait_accepted(int64_t fence, int layer);

  /// Which lease the heartbeats speak for; 0: none.
  void set_lease(int64_t fence);
  /// OK while the stream stands and the lease was not revoked; else ABORTED, reason LEASE_LOST.
  Status lease_status(int64_t fence);
  /// Whether the lease is to be handed back after the layer under way.
  bool to_finish(int64_t fence);

 private:
  using Stream = grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>;

  AttachClient(std::shared_ptr<grpc::Channel> channel, RankReport ranks);
  void read_loop();
  void heartbeat_loop();
  Status lease_status_locked(int64_t fence) const;
  Status broken_locked() const;

  const RankReport ranks_;
  std::unique_ptr<v1::Workers::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  std::mutex write_mutex_;  // one writer at a time; never taken inside mutex_
  bool finished_ = false;   // guarded by write_mutex_: nothing may be written any more

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::CoordinatorMessage> inbox_;  // leases and shutdowns
  std::deque<v1::LayerAccepted> accepted_;
  std::optional<v1::Registered> registered_;
  int64_t fence_ = 0;
  int64_t revoked_fence_ = 0;  // the newest
  std::string revoked_reason_;
  int64_t finishing_fence_ = 0;  // the newest
  bool broken_ = false;
  Status end_;  // how the stream ended; valid when broken_
  bool stop_ = false;

  std::thread reader_;
  std::thread heartbeat_;
};

}  // namespace rotor::worker
