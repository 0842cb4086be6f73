#include "coordinator/service/workers_service.h"

#include "coordinator/service/attach_session.h"
#include "coordinator/service/layer_sender.h"
#include "coordinator/staging/damaged_layer.h"
#include "coordinator/staging/upload_session.h"
#include "proto/errors.h"

namespace rotor::coordinator {

grpc::Status WorkersService::Attach(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) {
  return to_grpc(AttachSession(core_, context, stream).run());
}

grpc::Status WorkersService::PutTensors(grpc::ServerContext* /*context*/,
                                        grpc::ServerReader<v1::PutTensorsRequest>* reader,
                                        v1::PutTensorsResponse* response) {
  UploadSession session([this](const v1::PutHeader& header) { return core_->open_upload(header); });
  v1::PutTensorsRequest message;
  while (reader->Read(&message)) {
    if (const Status accepted = session.accept(message); !accepted.ok()) {
      core_->upload_failed(session.job(), accepted);
      return to_grpc(accepted);
    }
  }
  Result<v1::PutTensorsResponse> done = session.finish();
  if (!done.ok()) {
    return to_grpc(done.status());
  }
  *response = std::move(done).value();
  return grpc::Status::OK;
}

grpc::Status WorkersService::FetchLayer(grpc::ServerContext* /*context*/,
                                        const v1::FetchLayerRequest* request,
                                        grpc::ServerWriter<v1::FetchLayerResponse>* writer) {
  const Result<CommittedLayer> layer = core_->committed_layer(*request);
  if (!layer.ok()) {
    return to_grpc(layer.status());
  }
  const Status sent =
      send_layer(*fs_, request->layer(), *layer,
                 [writer](const v1::FetchLayerResponse& part) { return writer->Write(part); });
  if (sent.reason() == kStagedLayerDamaged) {
    core_->layer_lost(request->job(), request->layer(), sent);
  }
  return to_grpc(sent);
}

}  // namespace rotor::coordinator
