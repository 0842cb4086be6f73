// A worker group that talks to the core without gRPC, one step at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "coordinator/jobs/core.h"
#include "tests/support/coordinator/rtn_layer.h"

namespace rotor::testing {

class CoreWorker {
 public:
  CoreWorker(coordinator::Core* core, const std::string& group_id);
  ~CoreWorker();

  int64_t group() const { return group_; }
  /// The next message that is waiting; none: empty, at once.
  std::optional<v1::CoordinatorMessage> next();
  /// The next lease among the waiting messages, others are dropped.
  std::optional<v1::Lease> next_lease();
  /// What put() and commit() tell of a layer; a test may have them tell something else.
  RtnLayer& layer(const v1::Lease& lease, int32_t index);
  /// Quantizes and puts a layer.
  Status put(const v1::Lease& lease, int32_t layer);
  /// Commits what put() put; the coordinator's answer.
  Status commit(const v1::Lease& lease, int32_t layer);
  Status put_and_commit(const v1::Lease& lease, int32_t layer);
  /// A heartbeat, idle without a lease.
  void beat(const std::optional<v1::Lease>& lease = std::nullopt);
  void finish(const v1::Lease& lease);
  void fail(const v1::Lease& lease, const Status& cause);
  void leave();
  /// The core that this group was attached to has crashed: nothing may be called on it any more.
  void forget_core();

 private:
  coordinator::Core* core_;
  std::shared_ptr<coordinator::Outbox> outbox_;
  int64_t group_ = 0;
  std::unique_ptr<RtnQuantizer> quantizer_;
  std::map<int32_t, RtnLayer> layers_;
};

/// Sends messages through an UploadSession of the core.
Status upload(coordinator::Core* core, const std::vector<v1::PutTensorsRequest>& messages);

}  // namespace rotor::testing
