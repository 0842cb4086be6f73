// The whole coordinator in one object: lock, core, background threads and the gRPC server. What the
// program runs, and what tests run in process.
//
// Thread-safety: start() and stop() from one thread. Errors: those of StateLock and Core::open;
// FAILED_PRECONDITION, LISTEN_FAILED, for an address that cannot be had.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "coordinator/access/access_control.h"
#include "coordinator/jobs/core.h"
#include "coordinator/observe/audit_log.h"
#include "coordinator/observe/metrics.h"
#include "coordinator/observe/status_page.h"
#include "coordinator/options.h"
#include "coordinator/service/jobs_service.h"
#include "coordinator/service/workers_service.h"
#include "coordinator/state_lock.h"

namespace rotor::coordinator {

class Server {
 public:
  /// Serving when it returns; port_file is written last. `options` have been checked.
  static Result<std::unique_ptr<Server>> start(FileSystem& fs, const Clock& clock,
                                               const CoordinatorOptions& options);
  ~Server();

  int port() const { return port_; }
  /// Where workers come to: of --worker-listen, or the same.
  int worker_port() const { return worker_port_; }
  /// Of --metrics-listen and --status-listen; 0: none.
  int metrics_port() const { return metrics_port_; }
  int status_port() const { return status_page_ ? status_page_->port() : 0; }
  Core& core() { return *core_; }
  /// Ends streams and threads; jobs stay as they are in the store.
  void stop();

 private:
  Server(StateLock lock, std::unique_ptr<Core> core, std::unique_ptr<AccessControl> access,
         FileSystem& fs, const Clock& clock, const std::string& audit_log);
  Status listen(const CoordinatorOptions& options);
  Status show(const CoordinatorOptions& options);
  Status write_ports(const CoordinatorOptions& options);
  void schedule_loop();
  void assemble_loop();

  FileSystem& fs_;
  const Clock& clock_;
  StateLock lock_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<AccessControl> access_;
  AuditLog audit_;
  Metrics metrics_;
  std::unique_ptr<StatusPage> status_page_;
  int metrics_port_ = 0;
  JobsService jobs_;
  WorkersService workers_;
  int port_ = 0;
  int worker_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::Server> worker_server_;  // null: workers come to server_
  std::atomic<bool> stopping_{false};
  std::thread scheduler_;
  std::thread assembler_;
};

}  // namespace rotor::coordinator
