// rotor.v1.Workers over the core.
//
// Thread-safety: gRPC calls it from its own threads. Errors: to_grpc() of the core's and of
// AccessControl. Cost: a call holds a thread and at most one chunk of 1 MiB.
#pragma once

#include "coordinator/access/access_control.h"
#include "coordinator/access/first_message.h"
#include "coordinator/jobs/core.h"
#include "rotor/v1/workers.grpc.pb.h"

namespace rotor::coordinator {

class WorkersService final : public v1::Workers::Service {
 public:
  WorkersService(FileSystem* fs, Core* core, AccessControl* access)
      : fs_(fs), core_(core), access_(access) {}

  grpc::Status Attach(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) override;
  grpc::Status PutTensors(grpc::ServerContext* context,
                          grpc::ServerReader<v1::PutTensorsRequest>* reader,
                          v1::PutTensorsResponse* response) override;
  grpc::Status FetchLayer(grpc::ServerContext* context, const v1::FetchLayerRequest* request,
                          grpc::ServerWriter<v1::FetchLayerResponse>* writer) override;

  /// To be called now and then: ends streams that never spoke.
  void cancel_silent() { first_messages_.cancel_silent(); }

 private:
  FileSystem* fs_;
  Core* core_;
  AccessControl* access_;
  FirstMessageDeadlines first_messages_;
};

}  // namespace rotor::coordinator
