// The status page as one HTML document that needs nothing else: no script, no font, no picture,
// from here or elsewhere.
//
// Thread-safety: plain functions. Whatever came over the network (names, paths, messages) is
// escaped.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rotor/v1/jobs.pb.h"

namespace rotor::coordinator {

struct StatusView {
  struct ShownJob {
    v1::Job job;
    std::map<int32_t, double> layer_errors;  // of committed layers
  };
  std::vector<ShownJob> jobs;  // newest first
  v1::ListWorkersResponse workers;
  int64_t now_seconds = 0;  // since the epoch
};

std::string status_html(const StatusView& view);

}  // namespace rotor::coordinator
