#include "coordinator/observe/call_record.h"

#include <chrono>
#include <set>
#include <string_view>

#include "proto/errors.h"
#include "rotor/v1/jobs.grpc.pb.h"
#include "rotor/v1/workers.grpc.pb.h"

namespace rotor::coordinator {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr std::string_view kJobs = "/rotor.v1.Jobs/";
constexpr std::string_view kWorkers = "/rotor.v1.Workers/";

/// "SubmitJob"; calls of other services (health, reflection) are "other".
std::string method_label(std::string_view path) {
  for (const std::string_view service : {kJobs, kWorkers}) {
    if (path.starts_with(service)) {
      return std::string(path.substr(service.size()));
    }
  }
  return "other";
}

/// What the audit log tells of even where it succeeded.
bool changes_something(const std::string& method) {
  static const std::set<std::string> changing = {"SubmitJob", "CancelJob", "PauseJob",
                                                 "ResumeJob", "DeleteJob", "Attach"};
  return changing.count(method) != 0;
}

bool was_refused(Code code) {
  return code == Code::kUnauthenticated || code == Code::kPermissionDenied;
}

class CallRecord final : public grpc::experimental::Interceptor {
 public:
  CallRecord(Metrics* metrics, AuditLog* audit, AccessControl* access,
             grpc::experimental::ServerRpcInfo* info)
      : metrics_(metrics),
        audit_(audit),
        access_(access),
        info_(info),
        method_(method_label(info->method())) {}
  ~CallRecord() override {
    if (!ended_) {
      // The client went away before there was a status to send.
      metrics_->called(method_, std::string(code_name(Code::kCancelled)), seconds());
    }
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (from_.empty() && audit_->enabled()) {
      // Now: at the end of a stream its connection may be gone, or its token withdrawn.
      from_ = info_->server_context()->peer();
      who_ = access_->name_of(*info_->server_context());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        methods->GetRecvMessage() != nullptr) {
      received(methods->GetRecvMessage());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      end(from_grpc(methods->GetSendStatus()));
    }
    methods->Proceed();
  }

 private:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

  void received(const void* message) {
    if (method_ == "PutTensors") {
      const auto& part = *static_cast<const v1::PutTensorsRequest*>(message);
      metrics_->uploaded(static_cast<int64_t>(part.chunk().size()));
    } else if (method_ == "Attach") {
      const auto& part = *static_cast<const v1::WorkerMessage*>(message);
      if (part.has_register_()) {
        target_ = "group " + part.register_().group_id() + " on " + part.register_().host();
      }
    } else if (method_ == "SubmitJob") {
      const auto& request = *static_cast<const v1::SubmitJobRequest*>(message);
      target_ = (request.validate_only() ? "validate only" : request.request_id()) + ": " +
                request.spec().model() + " -> " + request.spec().output();
    } else if (method_ == "CancelJob") {
      target_ = static_cast<const v1::CancelJobRequest*>(message)->name();
    } else if (method_ == "PauseJob") {
      target_ = static_cast<const v1::PauseJobRequest*>(message)->name();
    } else if (method_ == "ResumeJob") {
      target_ = static_cast<const v1::ResumeJobRequest*>(message)->name();
    } else if (method_ == "DeleteJob") {
      target_ = static_cast<const v1::DeleteJobRequest*>(message)->name();
    }
  }

  void end(const Status& status) {
    ended_ = true;
    const std::string code(code_name(status.code()));
    metrics_->called(method_, code, seconds());
    if (!audit_->enabled() || (!changes_something(method_) && !was_refused(status.code()))) {
      return;
    }
    constexpr size_t kLongestTarget = 4096;
    audit_->add({who_, from_, method_, target_.substr(0, kLongestTarget), code, status.reason(),
                 seconds()});
  }

  Metrics* metrics_;
  AuditLog* audit_;
  AccessControl* access_;
  grpc::experimental::ServerRpcInfo* info_;
  const std::string method_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::string who_;
  std::string from_;
  std::string target_;
  bool ended_ = false;
};

}  // namespace

grpc::experimental::Interceptor* CallRecorder::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new CallRecord(metrics_, audit_, access_, info);  // gRPC owns it
}

}  // namespace rotor::coordinator
