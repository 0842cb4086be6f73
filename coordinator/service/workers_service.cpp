#include "coordinator/service/workers_service.h"

#include "coordinator/service/attach_session.h"
#include "coordinator/service/layer_sender.h"
#include "coordinator/staging/damaged_layer.h"
#include "coordinator/staging/upload_session.h"
#include "proto/errors.h"
#include "proto/transport/metadata.h"

namespace rotor::coordinator {

grpc::Status WorkersService::Attach(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>* stream) {
  FirstMessageDeadlines::Wait wait(&first_messages_, context);
  Result<Admission> admission = access_->admit(*context, Role::kWorker, CallKind::kKnock);
  if (!admission.ok()) {
    return to_grpc(admission.status());
  }
  return to_grpc(AttachSession(core_, context, stream).run([&]() -> Status {
    wait.spoken();
    ROTOR_ASSIGN_OR_RETURN(admission->ticket,
                           access_->limits().enter(CallKind::kGroup, admission->counted_as));
    return {};
  }));
}

grpc::Status WorkersService::PutTensors(grpc::ServerContext* context,
                                        grpc::ServerReader<v1::PutTensorsRequest>* reader,
                                        v1::PutTensorsResponse* response) {
  const Result<Admission> admission = access_->admit(*context, Role::kWorker, CallKind::kTransfer);
  if (!admission.ok()) {
    return to_grpc(admission.status());
  }
  UploadSession session([this](const v1::PutHeader& header) { return core_->open_upload(header); });
  FirstMessageDeadlines::Wait wait(&first_messages_, context);
  v1::PutTensorsRequest message;
  while (reader->Read(&message)) {
    wait.spoken();
    if (const Status accepted = session.accept(message); !accepted.ok()) {
      core_->upload_failed(session.job(), accepted);
      return to_grpc(accepted);
    }
    if (message.has_header()) {
      // The rank waits for it before it sends a tensor: a refusal then costs it nothing.
      context->AddInitialMetadata(kUploadOpenKey, "1");
      reader->SendInitialMetadata();
    }
  }
  Result<v1::PutTensorsResponse> done = session.finish();
  if (!done.ok()) {
    return to_grpc(done.status());
  }
  *response = std::move(done).value();
  return grpc::Status::OK;
}

grpc::Status WorkersService::FetchLayer(grpc::ServerContext* context,
                                        const v1::FetchLayerRequest* request,
                                        grpc::ServerWriter<v1::FetchLayerResponse>* writer) {
  const Result<Admission> admission = access_->admit(*context, Role::kWorker, CallKind::kTransfer);
  if (!admission.ok()) {
    return to_grpc(admission.status());
  }
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
