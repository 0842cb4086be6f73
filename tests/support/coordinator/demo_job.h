// Roots with a copy of the demo model and its text, and a spec that quantizes it.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "coordinator/options.h"
#include "rotor/v1/jobs.pb.h"
#include "tests/support/temporary_directory.h"

namespace rotor::testing {

class DemoJob {
 public:
  /// Copies model and text into a directory of its own.
  DemoJob();

  /// Checked options for these roots, listening on a free port of the loopback interface.
  coordinator::CoordinatorOptions options() const;
  /// MXFP4 by round-to-nearest without rotation, to `output`.
  v1::JobSpec spec(const std::string& output = "out") const;
  v1::SubmitJobRequest request(const std::string& id, const std::string& output = "out") const;

  std::string model() const { return root_ / "models/demo"; }
  std::string text() const { return root_ / "data/text.json"; }
  std::string output(const std::string& name = "out") const { return root_ / ("outputs/" + name); }
  std::string state() const { return root_ / "state"; }
  const TemporaryDirectory& root() const { return root_; }

 private:
  TemporaryDirectory root_;
};

/// Calls `submit` on as many threads at once; the names of the jobs that it gave.
std::set<std::string> submit_at_once(int threads, const std::function<Result<v1::Job>()>& submit);

}  // namespace rotor::testing
