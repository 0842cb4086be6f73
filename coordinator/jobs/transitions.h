// Which state of a job may follow which: the one table. A pause may follow a pause, since its cause
// can change. What has ended stays as it is.
//
// Thread-safety: a pure function.
#pragma once

#include "rotor/v1/job.pb.h"

namespace rotor::coordinator {

bool may_become(v1::JobState from, v1::JobState to);

}  // namespace rotor::coordinator
