// The figures that a monitoring system scrapes: what was counted while jobs were worked on, and a
// look at the coordinator as it is. docs/operations.md lists them.
//
// Owns: the registry and, where an address is given, an HTTP server with two threads.
// Thread-safety: every function from any thread. Errors: FAILED_PRECONDITION, LISTEN_FAILED. Cost:
// a scrape is a count over the store and a walk over the worker groups.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/jobs/core.h"

namespace rotor::coordinator {

class Metrics final : public CoreObserver {
 public:
  Metrics();

  void layer_committed(const v1::LayerReport& report, int64_t tokens) override;
  void uploaded(int64_t bytes) { uploaded_bytes_->Increment(static_cast<double>(bytes)); }
  /// A call that ended. `method` must be one of a fixed set: each makes a time series.
  void called(const std::string& method, const std::string& code, double seconds);

  /// Serves under /metrics what is counted here and what `look` gives at a scrape. Returns the
  /// port.
  Result<int> listen(const std::string& address, std::shared_ptr<prometheus::Collectable> look);
  /// What was counted, for tests.
  std::vector<prometheus::MetricFamily> collect() const { return registry_->Collect(); }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Counter* layers_;
  prometheus::Counter* tokens_;
  prometheus::Counter* uploaded_bytes_;
  prometheus::Histogram* layer_seconds_;
  prometheus::Histogram* module_errors_;
  prometheus::Family<prometheus::Counter>* fallbacks_;
  prometheus::Family<prometheus::Counter>* calls_;
  prometheus::Family<prometheus::Histogram>* call_seconds_;
  std::shared_ptr<prometheus::Collectable> look_;
  std::unique_ptr<prometheus::Exposer> exposer_;  // last: its threads end first
};

}  // namespace rotor::coordinator
