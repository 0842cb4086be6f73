// A worker group whose ranks are threads of one process: the collectives of Communicator over
// shared memory, so that the pipeline runs with several ranks in a unit test, sanitizers included.
#pragma once

#include <functional>
#include <memory>

#include "worker/comm/communicator.h"

namespace rotor::testing {

/// Calls body on `ranks` threads, each with its communicator, and waits for all of them.
void run_ranks(int ranks, const std::function<void(worker::Communicator&)>& body);

}  // namespace rotor::testing
