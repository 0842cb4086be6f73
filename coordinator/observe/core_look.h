// The coordinator as it is at a scrape: jobs by state, leases, worker groups and their
// ranks, free disk. A figure that cannot be had at that moment is left out.
//
// Thread-safety: Collect() from any thread.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "coordinator/jobs/core.h"

namespace rotor::coordinator {

class CoreLook final : public prometheus::Collectable {
 public:
  /// The references must outlive it.
  CoreLook(FileSystem& fs, Core& core, const CoordinatorOptions& options);
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  FileSystem& fs_;
  Core& core_;
  const std::string state_dir_;
  const std::string output_root_;
};

}  // namespace rotor::coordinator
