#include "proto/errors.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace rotor {
namespace {

constexpr char kDomain[] = "rotor";

Code checked_code(int code) {
  return code >= static_cast<int>(Code::kOk) && code <= static_cast<int>(Code::kUnauthenticated)
             ? static_cast<Code>(code)
             : Code::kUnknown;
}

}  // namespace

grpc::Status to_grpc(const Status& status) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  google::rpc::ErrorInfo info;
  info.set_reason(status.reason());
  info.set_domain(kDomain);
  info.mutable_metadata()->insert(status.details().begin(), status.details().end());
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(status.message());
  wire.add_details()->PackFrom(info);
  return {static_cast<grpc::StatusCode>(status.code()), status.message(), wire.SerializeAsString()};
}

Status from_grpc(const grpc::Status& status) {
  if (status.ok()) {
    return {};
  }
  Status result(checked_code(static_cast<int>(status.error_code())), status.error_message());
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) {
    return result;
  }
  for (const google::protobuf::Any& detail : wire.details()) {
    google::rpc::ErrorInfo info;
    if (!detail.UnpackTo(&info) || info.domain() != kDomain) {
      continue;
    }
    result = std::move(result).with_reason(info.reason());
    for (const auto& [key, value] : info.metadata()) {
      result = std::move(result).with_detail(key, value);
    }
  }
  return result;
}

v1::Cause to_cause(const Status& status) {
  v1::Cause cause;
  cause.set_code(static_cast<int>(status.code()));
  cause.set_reason(status.reason());
  cause.set_message(status.message());
  cause.mutable_details()->insert(status.details().begin(), status.details().end());
  return cause;
}

Status from_cause(const v1::Cause& cause) {
  Status result = Status(checked_code(cause.code()), cause.message()).with_reason(cause.reason());
  for (const auto& [key, value] : cause.details()) {
    result = std::move(result).with_detail(key, value);
  }
  return result;
}

}  // namespace rotor
