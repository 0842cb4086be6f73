// A rotor::Status on the wire: as a gRPC status with a google.rpc.ErrorInfo (domain "rotor") in its
// details, and as the message rotor.v1.Cause. Nothing is lost either way.
#pragma once

#include <grpcpp/support/status.h>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

grpc::Status to_grpc(const Status& status);
/// Statuses that are not ours (deadline, connection refused) keep code and message; reason is
/// empty.
Status from_grpc(const grpc::Status& status);

v1::Cause to_cause(const Status& status);
Status from_cause(const v1::Cause& cause);

}  // namespace rotor
