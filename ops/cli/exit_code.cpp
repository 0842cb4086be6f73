#include "ops/cli/exit_code.h"

#include <string_view>

namespace rotor::cli {
namespace {

struct ReasonRow {
  std::string_view reason;
  int exit_code;
};

constexpr ReasonRow kByReason[] = {
    {kReasonUsage, kExitUsage},
    {kReasonUnreachable, kExitUnreachable},
    {kReasonInterrupted, kExitInterrupted},
    {kReasonJobFailed, kExitFailed},
    {kReasonJobCancelled, kExitFailed},
    {kReasonNoProgress, kExitFailed},
    {kReasonMissingProgram, kExitConfiguration},
    {kReasonConfiguration, kExitConfiguration},
    {kReasonAlreadyRunning, kExitUsage},
    {kReasonInvalidCheckpoint, kExitFailed},
};

int by_code(Code code) {
  switch (code) {
    case Code::kOk:
      return kExitDone;
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kPermissionDenied:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
    case Code::kUnimplemented:
      return kExitUsage;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return kExitUnreachable;
    case Code::kUnauthenticated:
      return kExitConfiguration;
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kResourceExhausted:
    case Code::kAborted:
    case Code::kInternal:
    case Code::kDataLoss:
      return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace

int exit_code(const Status& status) {
  for (const ReasonRow& row : kByReason) {
    if (status.reason() == row.reason) {
      return row.exit_code;
    }
  }
  return by_code(status.code());
}

}  // namespace rotor::cli
