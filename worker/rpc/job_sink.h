// The LayerSink of a job: uploads by this rank, progress and commits by the group's first rank.
//
// Thread-safety: the rank's main thread.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rotor/v1/workers.grpc.pb.h"
#include "worker/pipeline/layer_sink.h"
#include "worker/rpc/attach_client.h"
#include "worker/rpc/uploader.h"

namespace rotor::worker {

/// Why check() says to stop at a boundary, code CANCELLED: the process was asked to stop, or the
/// job was paused.
inline constexpr char kReasonDraining[] = "DRAINING";
inline constexpr char kReasonPaused[] = "PAUSED";

class JobSink final : public LayerSink {
 public:
  /// `client` is null on all ranks but the first. `draining` tells whether the process was asked to
  /// stop.
  JobSink(std::shared_ptr<grpc::Channel> channel, AttachClient* client, std::string job,
          int64_t fence, std::string session, std::function<bool()> draining);

  Status check(bool at_boundary) override;
  /// Told to the coordinator every two seconds.
  Status passing(int layer, int until_layer) override;
  Status stage_done(int layer, int stage, int stages,
                    const std::vector<ModuleResult>& modules) override;
  Status put(int layer, PendingTensors tensors) override;
  Status finish(int layer) override;
  Result<std::vector<UploadedTensor>> flush(int layer) override;
  Status commit(const LayerResult& result, const std::vector<UploadedTensor>& tensors) override;
  Result<MemorySource> fetch(int layer, const std::vector<TensorSpec>& expected) override;

 private:
  Result<MemorySource> fetch_once(int layer, const std::vector<TensorSpec>& expected);

  std::shared_ptr<grpc::Channel> channel_;
  AttachClient* client_;
  std::string job_;
  int64_t fence_;
  std::string session_;
  std::function<bool()> draining_;
  std::optional<std::chrono::steady_clock::time_point> told_passing_;
  Uploader uploader_;
};

}  // namespace rotor::worker
