#include "coordinator/jobs/transitions.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rotor::coordinator {
namespace {

constexpr std::array<std::pair<v1::JobState, v1::JobState>, 23> kTransitions = {{
    {v1::JOB_STATE_PENDING, v1::JOB_STATE_RUNNING},  // its first lease
    {v1::JOB_STATE_PENDING, v1::JOB_STATE_PAUSED},
    {v1::JOB_STATE_PENDING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_PENDING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_PAUSED},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_FINALIZING},  // complete
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_PENDING},  // back to where it was
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_RUNNING},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_FINALIZING},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_PAUSED},  // another cause
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_FINALIZING, v1::JOB_STATE_RUNNING},  // a staged layer is damaged
    {v1::JOB_STATE_FINALIZING, v1::JOB_STATE_PAUSED},
    {v1::JOB_STATE_FINALIZING, v1::JOB_STATE_SUCCEEDED},
    {v1::JOB_STATE_FINALIZING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_FINALIZING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_FAILED, v1::JOB_STATE_PENDING},  // resumed, with its layers
    {v1::JOB_STATE_FAILED, v1::JOB_STATE_RUNNING},
    {v1::JOB_STATE_FAILED, v1::JOB_STATE_FINALIZING},
    {v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED},
}};

}  // namespace

bool may_become(v1::JobState from, v1::JobState to) {
  return std::find(kTransitions.begin(), kTransitions.end(), std::pair(from, to)) !=
         kTransitions.end();
}

}  // namespace rotor::coordinator
