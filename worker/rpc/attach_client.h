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
#include <string>
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

  /// The lease that the heartbeats and the functions below speak for, until end_lease().
  void begin_lease(std::string job, int64_t fence);
  void end_lease();
  /// Waits for the coordinator's word on a layer. Errors: its refusal; ABORTED (LEASE_LOST) when
  /// the lease goes first; UNAVAILABLE.
  Status wait_accepted(int layer);
  /// OK while the stream stands and the lease was not revoked; else ABORTED, reason LEASE_LOST.
  Status lease_status();
  /// Whether the lease is to be handed back after the layer under way.
  bool to_finish();

 private:
  using Stream = grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>;

  AttachClient(std::shared_ptr<grpc::Channel> channel, RankReport ranks);
  void read_loop();
  void heartbeat_loop();
  Status lease_status_locked() const;
  Status broken_locked() const;
  /// Whether `word` is about the lease: a fence counts within its job.
  template <typename Message>
  bool is_of_lease(const Message& word) const {
    return word.fence() == fence_ && word.job() == job_;
  }

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
  std::string job_;
  int64_t fence_ = 0;  // 0: no lease
  // What came since the last lease ended: a word on the next one may be read before the lease is.
  std::vector<v1::Revoke> revoked_;
  std::vector<v1::FinishLayer> finishing_;
  bool broken_ = false;
  Status end_;  // how the stream ended; valid when broken_
  bool stop_ = false;

  std::thread reader_;
  std::thread heartbeat_;
};

}  // namespace rotor::worker
