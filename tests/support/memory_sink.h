// A sink that keeps what the ranks of a run hand in, and token windows to run on: for tests that
// drive the pipeline without a coordinator.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/calibration/token_windows.h"
#include "tests/support/status_matchers.h"
#include "worker/pipeline/layer_sink.h"

namespace rotor::worker::testing_support {

/// What all ranks of a run hand in, and what an earlier run committed.
struct Store {
  std::mutex mutex;
  std::map<std::string, StoredTensor> tensors;
  std::vector<LayerResult> layers;
  std::vector<int> computed;
};

class MemorySink final : public LayerSink {
 public:
  explicit MemorySink(Store& store) : store_(store) {}

  Status check(bool at_boundary) override {
    const bool stop = at_boundary && stop_after_ == static_cast<int>(finished_.size());
    return stop ? cancelled("stop").with_reason("DRAINING") : Status();
  }
  Status passing(int layer, int until_layer) override {
    EXPECT_LT(layer, until_layer);
    return {};
  }
  Status stage_done(int, int, int, const std::vector<ModuleResult>& modules) override {
    EXPECT_FALSE(modules.empty());
    return {};
  }
  Status put(int layer, PendingTensors pending) override {
    ROTOR_ASSIGN_OR_RETURN(std::vector<StoredTensor> tensors, pending.make());
    const std::lock_guard lock(store_.mutex);
    for (StoredTensor& tensor : tensors) {
      put_[layer].push_back({tensor.spec, ""});
      const std::string name = tensor.spec.name;
      EXPECT_TRUE(store_.tensors.emplace(name, std::move(tensor)).second) << name << " came twice";
    }
    return {};
  }
  Status finish(int layer) override {
    EXPECT_TRUE(finished_.insert(layer).second) << layer;
    return {};
  }
  Result<std::vector<UploadedTensor>> flush(int layer) override {
    EXPECT_TRUE(finished_.contains(layer)) << layer;
    return std::exchange(put_[layer], {});
  }
  Status commit(const LayerResult& result, const std::vector<UploadedTensor>& tensors) override {
    EXPECT_FALSE(tensors.empty());
    store_.layers.push_back(result);
    store_.computed.push_back(result.layer);
    return {};
  }
  Result<MemorySource> fetch(int, const std::vector<TensorSpec>& expected) override {
    MemorySource source;
    for (const TensorSpec& spec : expected) {
      const auto found = store_.tensors.find(spec.name);
      if (found == store_.tensors.end()) {
        return not_found(spec.name);
      }
      EXPECT_EQ(found->second.spec, spec);
      source.add(found->second);
    }
    return source;
  }
  void stop_after(int layers) { stop_after_ = layers; }

 private:
  Store& store_;
  std::map<int, std::vector<UploadedTensor>> put_;  // by layer
  std::set<int> finished_;
  int stop_after_ = -1;
};

/// Ids of a vocabulary of 2048, the same for a seed.
inline TokenWindows random_windows(int64_t sequences, int64_t seq_len, unsigned seed) {
  TokenWindows made;
  made.seq_len = seq_len;
  for (int64_t i = 0; i < sequences * seq_len; ++i) {
    seed = seed * 1664525U + 1013904223U;
    made.ids.push_back(static_cast<int32_t>((seed >> 8) % 2048U));
  }
  return made;
}

}  // namespace rotor::worker::testing_support
