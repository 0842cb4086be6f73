// The life of a worker group: attach, take a lease, run it, again. The first rank talks to the
// coordinator and tells the others what to do; all of them run leases together.
//
// Survives the coordinator: while it is away, the first rank tries again and again.
// Collective. Thread-safety: the rank's main thread.
#pragma once

#include "proto/transport/client_security.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/rpc/drain.h"

namespace rotor::worker {

struct GroupOptions {
  Endpoint coordinator;
  int reconnect_seconds = 0;  // give up after so long without a coordinator; 0: never
};

/// Returns the process's exit code: 0 when the coordinator said that it has no more use for
/// workers, 69 when it stayed out of reach, 75 after draining, 78 when it refuses this program's
/// version or, at the first try, its token, or when the files of TLS cannot be used.
int run_group(Backend& backend, Communicator& comm, const GroupOptions& options, Drain& drain);

}  // namespace rotor::worker
