#include "coordinator/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/access/server_credentials.h"
#include "coordinator/observe/call_record.h"
#include "coordinator/observe/core_look.h"

namespace rotor::coordinator {
namespace {

/// A chunk of 1 MiB with its envelope, or a commit's report, fits; nothing larger is ever sent.
constexpr int kMostMessageBytes = 4 << 20;
constexpr size_t kMostMemoryBytes = size_t{512} << 20;
constexpr int kMostStreamsPerConnection = 256;
constexpr std::chrono::milliseconds kTick{200};
constexpr std::chrono::milliseconds kDrain{500};
constexpr std::chrono::seconds kHouseInterval{60};

using Recorder = std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>;

Result<std::unique_ptr<grpc::Server>> serve(
    const std::string& option, const std::string& address,
    const std::shared_ptr<grpc::ServerCredentials>& credentials, const grpc::ResourceQuota& quota,
    const std::vector<grpc::Service*>& services, Recorder recorder, int* port) {
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMostMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMostStreamsPerConnection);
  // Two servers on one port would each get some of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A peer that is gone without a word ends its streams within half a minute.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddListeningPort(address, credentials, port);
  std::vector<Recorder> recorders;
  recorders.push_back(std::move(recorder));
  builder.experimental().SetInterceptorCreators(std::move(recorders));
  for (grpc::Service* service : services) {
    builder.RegisterService(service);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || *port == 0) {
    return listen_failed(option, address, "");
  }
  spdlog::info("serving on {} (port {})", address, *port);
  return server;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(FileSystem& fs, const Clock& clock,
                                              const CoordinatorOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(StateLock lock, StateLock::acquire(options.state_dir));
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<Core> core, Core::open(fs, clock, options));
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<AccessControl> access,
                         AccessControl::open(fs, options.tokens));
  std::unique_ptr<Server> server(new Server(std::move(lock), std::move(core), std::move(access), fs,
                                            clock, options.audit_log));
  ROTOR_RETURN_IF_ERROR(server->audit_.check());
  ROTOR_RETURN_IF_ERROR(server->show(options));
  ROTOR_RETURN_IF_ERROR(server->listen(options));
  server->scheduler_ = std::thread([raw = server.get()] { raw->schedule_loop(); });
  server->assembler_ = std::thread([raw = server.get()] { raw->assemble_loop(); });
  if (!options.port_file.empty()) {
    ROTOR_RETURN_IF_ERROR(server->write_ports(options));
  }
  return server;
}

Status Server::write_ports(const CoordinatorOptions& options) {
  std::string ports = std::to_string(port_) + "\n";
  if (!options.worker_listen.empty()) {
    ports += std::to_string(worker_port_) + "\n";
  }
  if (!options.metrics_listen.empty()) {
    ports += "metrics=" + std::to_string(metrics_port()) + "\n";
  }
  if (!options.status_listen.empty()) {
    ports += "status=" + std::to_string(status_port()) + "\n";
  }
  return write_file_atomically(fs_, options.port_file, ports);
}

Status Server::show(const CoordinatorOptions& options) {
  core_->observe(&metrics_);
  if (!options.metrics_listen.empty()) {
    ROTOR_ASSIGN_OR_RETURN(
        metrics_port_,
        metrics_.listen(options.metrics_listen, std::make_shared<CoreLook>(fs_, *core_, options)));
  }
  if (!options.status_listen.empty()) {
    ROTOR_ASSIGN_OR_RETURN(
        status_page_,
        StatusPage::start([this] { return look_at(*core_, clock_); }, options.status_listen));
  }
  return {};
}

Server::Server(StateLock lock, std::unique_ptr<Core> core, std::unique_ptr<AccessControl> access,
               FileSystem& fs, const Clock& clock, const std::string& audit_log)
    : fs_(fs),
      clock_(clock),
      lock_(std::move(lock)),
      core_(std::move(core)),
      access_(std::move(access)),
      audit_(audit_log),
      jobs_(core_.get(), access_.get()),
      workers_(&fs, core_.get(), access_.get()) {}

Server::~Server() {
  stop();
}

Status Server::listen(const CoordinatorOptions& options) {
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  ROTOR_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                         server_credentials(options));
  grpc::ResourceQuota quota("rotor-coordinator");
  quota.Resize(kMostMemoryBytes);
  quota.SetMaxThreads(CallLimits::kMostThreads);
  const auto recorder = [this] {
    return std::make_unique<CallRecorder>(&metrics_, &audit_, access_.get());
  };
  if (options.worker_listen.empty()) {
    ROTOR_ASSIGN_OR_RETURN(server_, serve("listen", options.listen, credentials, quota,
                                          {&jobs_, &workers_}, recorder(), &port_));
    worker_port_ = port_;
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(
      server_, serve("listen", options.listen, credentials, quota, {&jobs_}, recorder(), &port_));
  ROTOR_ASSIGN_OR_RETURN(worker_server_, serve("worker-listen", options.worker_listen, credentials,
                                               quota, {&workers_}, recorder(), &worker_port_));
  return {};
}

void Server::schedule_loop() {
  int64_t seen = 0;
  std::optional<std::chrono::steady_clock::time_point> house_kept;
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    if (!house_kept || now - *house_kept >= kHouseInterval) {
      house_kept = now;
      core_->keep_house();
    }
    core_->tick();
    workers_.cancel_silent();
    core_->wait_for_work(&seen, kTick);
  }
}

void Server::assemble_loop() {
  int64_t seen = 0;
  while (!stopping_) {
    if (!core_->assemble_next()) {
      core_->wait_for_work(&seen, kTick);
    }
  }
}

void Server::stop() {
  if (stopping_.exchange(true)) {
    return;
  }
  core_->stop();
  status_page_.reset();
  for (const std::unique_ptr<grpc::Server>* server : {&server_, &worker_server_}) {
    if (*server) {
      (*server)->Shutdown(std::chrono::system_clock::now() + kDrain);
      (*server)->Wait();
    }
  }
  for (std::thread* thread : {&scheduler_, &assembler_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
}

}  // namespace rotor::coordinator
