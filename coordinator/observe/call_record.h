// Sees every call of the service, whichever it is, and tells the metrics and the audit log how it
// ended.
//
// Thread-safety: gRPC calls it from its own threads.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include "coordinator/access/access_control.h"
#include "coordinator/observe/audit_log.h"
#include "coordinator/observe/metrics.h"

namespace rotor::coordinator {

class CallRecorder final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  /// All must outlive the server.
  CallRecorder(Metrics* metrics, AuditLog* audit, AccessControl* access)
      : metrics_(metrics), audit_(audit), access_(access) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  Metrics* metrics_;
  AuditLog* audit_;
  AccessControl* access_;
};

}  // namespace rotor::coordinator
