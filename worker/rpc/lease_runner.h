// Does what one lease asks for, on all ranks of a group: opens the model, checks that it is the one
// the job was submitted with, reads the windows, runs the shard.
//
// Collective. Thread-safety: the rank's main thread.
// Errors: FAILED_PRECONDITION (SOURCE_CHANGED, CALIBRATION_CHANGED) where the files are not the
// job's; else those of the shard runner.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <optional>

#include "rotor/v1/workers.pb.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/eval/evaluate.h"
#include "worker/rpc/attach_client.h"

namespace rotor::worker {

/// `client` is null on all ranks but the first.
Result<std::optional<EvalResult>> run_lease(Backend& backend, Communicator& comm,
                                            const std::shared_ptr<grpc::Channel>& channel,
                                            AttachClient* client, const v1::Lease& lease,
                                            const std::function<bool()>& draining);

}  // namespace rotor::worker
