// A worker group over real gRPC that rounds to nearest: attaches, runs leases to their end, and
// attaches again when the coordinator was away.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <string>
#include <thread>

#include "rotor/v1/workers.grpc.pb.h"

namespace rotor::testing {

class RpcWorker {
 public:
  /// Works in a thread of its own until stop().
  RpcWorker(std::string address, std::string group_id);
  ~RpcWorker();
  void stop();
  /// Layers that the coordinator accepted.
  int committed() const { return committed_; }

 private:
  using Stream = grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>;
  void run();
  void serve(v1::Workers::Stub* stub);
  /// False: the stream is broken or the lease is lost.
  bool run_lease(v1::Workers::Stub* stub, Stream* stream, const v1::Lease& lease);

  std::string address_;
  std::string group_id_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> committed_{0};
  std::thread thread_;
};

}  // namespace rotor::testing
