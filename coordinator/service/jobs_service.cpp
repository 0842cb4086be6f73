#include "coordinator/service/jobs_service.h"

#include <algorithm>

#include "proto/errors.h"

namespace rotor::coordinator {
namespace {

/// How long a watch waits before it looks whether its client is still there.
constexpr std::chrono::milliseconds kWatchWait{500};

template <typename Message>
grpc::Status answer(Result<Message> result, Message* response) {
  if (!result.ok()) {
    return to_grpc(result.status());
  }
  *response = std::move(result).value();
  return grpc::Status::OK;
}

}  // namespace

grpc::Status JobsService::SubmitJob(grpc::ServerContext* /*context*/,
                                    const v1::SubmitJobRequest* request, v1::Job* response) {
  return answer(core_->submit(*request), response);
}

grpc::Status JobsService::GetJob(grpc::ServerContext* /*context*/, const v1::GetJobRequest* request,
                                 v1::Job* response) {
  return answer(core_->get(request->name()), response);
}

grpc::Status JobsService::ListJobs(grpc::ServerContext* /*context*/,
                                   const v1::ListJobsRequest* request,
                                   v1::ListJobsResponse* response) {
  return answer(core_->list(*request), response);
}

grpc::Status JobsService::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                                   grpc::ServerWriter<v1::JobEvent>* writer) {
  struct Count {
    std::atomic<int>* watchers;
    ~Count() { --*watchers; }
  } const count{&watchers_};
  if (++watchers_ > kMostWatchers) {
    return to_grpc(resource_exhausted("more than " + std::to_string(kMostWatchers) +
                                      " watches are open; close one, or use GetJob")
                       .with_reason("TOO_MANY_WATCHERS"));
  }
  int64_t next = request->from_revision();
  while (!context->IsCancelled()) {
    const Result<WatchBatch> batch = core_->watch(request->name(), next, kWatchWait);
    if (!batch.ok()) {
      return to_grpc(batch.status());
    }
    for (const v1::JobEvent& event : batch->events) {
      if (!writer->Write(event)) {
        return grpc::Status::CANCELLED;
      }
      next = event.revision() + 1;
    }
    if (batch->ended) {
      return grpc::Status::OK;
    }
  }
  return grpc::Status::CANCELLED;
}

grpc::Status JobsService::CancelJob(grpc::ServerContext* /*context*/,
                                    const v1::CancelJobRequest* request, v1::Job* response) {
  return answer(core_->cancel(request->name()), response);
}

grpc::Status JobsService::PauseJob(grpc::ServerContext* /*context*/,
                                   const v1::PauseJobRequest* request, v1::Job* response) {
  return answer(core_->pause(request->name()), response);
}

grpc::Status JobsService::ResumeJob(grpc::ServerContext* /*context*/,
                                    const v1::ResumeJobRequest* request, v1::Job* response) {
  return answer(core_->resume(request->name()), response);
}

grpc::Status JobsService::DeleteJob(grpc::ServerContext* /*context*/,
                                    const v1::DeleteJobRequest* request,
                                    google::protobuf::Empty* /*response*/) {
  return to_grpc(core_->remove(request->name()));
}

grpc::Status JobsService::GetReport(grpc::ServerContext* /*context*/,
                                    const v1::GetReportRequest* request, v1::Report* response) {
  return answer(core_->report(request->name()), response);
}

}  // namespace rotor::coordinator
