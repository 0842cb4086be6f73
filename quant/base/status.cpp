#include "quant/base/status.h"

#include <cerrno>
#include <system_error>

namespace rotor {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kUnknown:
      return "UNKNOWN";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kAborted:
      return "ABORTED";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kUnimplemented:
      return "UNIMPLEMENTED";
    case Code::kInternal:
      return "INTERNAL";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kDataLoss:
      return "DATA_LOSS";
    case Code::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

Status::Status(Code code, std::string message) {
  if (code != Code::kOk) {
    rep_ = std::make_shared<Rep>(Rep{code, std::move(message), {}, {}});
  }
}

Status::Rep& Status::mutable_rep() {
  if (rep_.use_count() > 1) {
    rep_ = std::make_shared<Rep>(*rep_);
  }
  return *rep_;
}

const std::string& Status::message() const {
  static const std::string empty;
  return rep_ ? rep_->message : empty;
}

const std::string& Status::reason() const {
  static const std::string empty;
  return rep_ ? rep_->reason : empty;
}

const std::map<std::string, std::string>& Status::details() const {
  static const std::map<std::string, std::string> empty;
  return rep_ ? rep_->details : empty;
}

Status&& Status::with_reason(std::string reason) && {
  if (rep_) {
    mutable_rep().reason = std::move(reason);
  }
  return std::move(*this);
}

Status&& Status::with_detail(std::string key, std::string value) && {
  if (rep_) {
    mutable_rep().details[std::move(key)] = std::move(value);
  }
  return std::move(*this);
}

Status&& Status::with_context(std::string_view context) && {
  if (rep_) {
    mutable_rep().message = std::string(context) + ": " + rep_->message;
  }
  return std::move(*this);
}

std::string Status::to_string() const {
  if (ok()) {
    return "OK";
  }
  return std::string(code_name(rep_->code)) + ": " + rep_->message;
}

Status invalid_argument(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}
Status not_found(std::string message) {
  return {Code::kNotFound, std::move(message)};
}
Status already_exists(std::string message) {
  return {Code::kAlreadyExists, std::move(message)};
}
Status failed_precondition(std::string message) {
  return {Code::kFailedPrecondition, std::move(message)};
}
Status resource_exhausted(std::string message) {
  return {Code::kResourceExhausted, std::move(message)};
}
Status unavailable(std::string message) {
  return {Code::kUnavailable, std::move(message)};
}
Status internal_error(std::string message) {
  return {Code::kInternal, std::move(message)};
}
Status data_loss(std::string message) {
  return {Code::kDataLoss, std::move(message)};
}
Status aborted(std::string message) {
  return {Code::kAborted, std::move(message)};
}
Status cancelled(std::string message) {
  return {Code::kCancelled, std::move(message)};
}
Status out_of_range(std::string message) {
  return {Code::kOutOfRange, std::move(message)};
}
Status unimplemented(std::string message) {
  return {Code::kUnimplemented, std::move(message)};
}

Status errno_error(int error_number, std::string_view what, std::string_view path) {
  Code code = Code::kUnavailable;
  std::string reason = "IO_ERROR";
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      reason = "FILE_NOT_FOUND";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kPermissionDenied;
      reason = "PERMISSION_DENIED";
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = Code::kAlreadyExists;
      reason = "FILE_EXISTS";
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      code = Code::kResourceExhausted;
      reason = "DISK_FULL";
      break;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      code = Code::kResourceExhausted;
      reason = "OUT_OF_RESOURCES";
      break;
    default:
      break;
  }
  return Status(code, std::string(path) + ": " + std::string(what) + ": " +
                          std::system_category().message(error_number))
      .with_reason(std::move(reason))
      .with_detail("file", std::string(path));
}

}  // namespace rotor
