#include "coordinator/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace rotor::coordinator {
namespace {

/// A chunk of 1 MiB with its envelope, or a commit's report, fits; nothing larger is ever sent.
constexpr int kMostMessageBytes = 4 << 20;
constexpr size_t kMostMemoryBytes = size_t{512} << 20;
/// Each stream holds a thread: watchers, groups, uploads and the calls in between.
constexpr int kMostThreads = 512;
constexpr int kMostStreamsPerConnection = 256;
constexpr std::chrono::milliseconds kTick{200};
constexpr std::chrono::milliseconds kDrain{500};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(FileSystem& fs, const Clock& clock,
                                              const CoordinatorOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(StateLock lock, StateLock::acquire(options.state_dir));
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<Core> core, Core::open(fs, clock, options));
  std::unique_ptr<Server> server(new Server(std::move(lock), std::move(core), fs));
  ROTOR_RETURN_IF_ERROR(server->listen(options.listen));
  server->scheduler_ = std::thread([raw = server.get()] { raw->schedule_loop(); });
  server->assembler_ = std::thread([raw = server.get()] { raw->assemble_loop(); });
  if (!options.port_file.empty()) {
    ROTOR_RETURN_IF_ERROR(
        write_file_atomically(fs, options.port_file, std::to_string(server->port_) + "\n"));
  }
  return server;
}

Server::Server(StateLock lock, std::unique_ptr<Core> core, FileSystem& fs)
    : lock_(std::move(lock)),
      core_(std::move(core)),
      jobs_(core_.get()),
      workers_(&fs, core_.get()) {}

Server::~Server() {
  stop();
}

Status Server::listen(const std::string& address) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ResourceQuota quota("rotor-coordinator");
  quota.Resize(kMostMemoryBytes);
  quota.SetMaxThreads(kMostThreads);
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
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&jobs_);
  builder.RegisterService(&workers_);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    return failed_precondition("--listen " + address +
                               ": cannot listen there: the port is in use, the address is not one "
                               "of this host, or the port needs privileges; choose another one, or "
                               "port 0 for a free one")
        .with_reason("LISTEN_FAILED")
        .with_detail("listen", address);
  }
  spdlog::info("serving on {} (port {})", address, port_);
  return {};
}

void Server::schedule_loop() {
  int64_t seen = 0;
  while (!stopping_) {
    core_->tick();
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
  if (server_) {
    server_->Shutdown(std::chrono::system_clock::now() + kDrain);
    server_->Wait();
  }
  for (std::thread* thread : {&scheduler_, &assembler_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
}

}  // namespace rotor::coordinator
