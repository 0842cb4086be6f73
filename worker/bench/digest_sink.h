// The LayerSink of a benchmark: takes a layer's tensors, counts and digests them, and drops them.
//
// Owns: a thread that digests, so that the rank's own goes on as it does in a job, and what waits
// for it. Thread-safety: as LayerSink. Errors: none.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/pipeline/layer_sink.h"

namespace rotor::worker::bench {

class DigestSink final : public LayerSink {
 public:
  DigestSink();
  ~DigestSink() override;
  DigestSink(const DigestSink&) = delete;
  DigestSink& operator=(const DigestSink&) = delete;

  Status check(bool at_boundary) override;
  Status passing(int layer, int until_layer) override;
  Status stage_done(int layer, int stage, int stages,
                    const std::vector<ModuleResult>& modules) override;
  Status put(int layer, PendingTensors tensors) override;
  Status finish(int layer) override;
  Result<std::vector<UploadedTensor>> flush(int layer) override;
  Status commit(const LayerResult& result, const std::vector<UploadedTensor>& tensors) override;
  Result<MemorySource> fetch(int layer, const std::vector<TensorSpec>& expected) override;

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PendingTensors> waiting_;
  Status status_;
  std::vector<UploadedTensor> digested_;
  bool busy_ = false;
  bool stop_ = false;
  std::thread thread_;
};

/// One digest of what all ranks put: of the lines "name sha256" in the order of names.
std::string digest_of(std::vector<UploadedTensor> tensors);

}  // namespace rotor::worker::bench
