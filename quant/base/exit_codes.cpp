#include "quant/base/exit_codes.h"

namespace rotor {

int exit_code_of(Code code) {
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

}  // namespace rotor
