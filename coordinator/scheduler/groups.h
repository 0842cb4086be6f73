// Worker groups as the scheduler sees them. Plain data, guarded by the core's mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/scheduler/clock.h"
#include "coordinator/scheduler/outbox.h"
#include "rotor/v1/workers.pb.h"

namespace rotor::coordinator {

/// Bytes of each text that a group tells of itself.
inline constexpr size_t kLongestWorkerText = 256;

struct Group {
  int64_t id = 0;
  v1::Register registration;
  std::shared_ptr<Outbox> outbox;
  std::string session;     // what its calls beside the stream show
  Clock::Time heard;       // its last sign of life
  bool draining = false;   // takes no more leases
  bool settling = false;   // its lease was taken away; it has not said since that it is idle
  int64_t job = 0;         // sequence of the job that it works on
  int64_t fence = 0;       // of its lease; 0: idle
  int64_t told_stale = 0;  // the last fence that it was told is stale
  Clock::Time attached;
  std::vector<v1::RankState> ranks;  // as of its last heartbeat

  /// "host (2 ranks, cpu)", for people.
  std::string describe() const {
    return registration.host() + " (" + std::to_string(registration.ranks()) + " ranks, " +
           registration.device() + ")";
  }
};

}  // namespace rotor::coordinator
