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

template <typename Call, typename Message>
grpc::Status JobsService::read(const grpc::ServerContext& context, Message* response, Call call) {
  const Result<Admission> admission = access_->admit(context, Role::kRead, CallKind::kCall);
  return admission.ok() ? answer<Message>(call(), response) : to_grpc(admission.status());
}

template <typename Call>
grpc::Status JobsService::change(const grpc::ServerContext& context, const std::string& name,
                                 Call call) {
  const Result<Admission> admission = access_->admit(context, Role::kSubmit, CallKind::kCall);
  if (!admission.ok()) {
    return to_grpc(admission.status());
  }
  if (admission->caller.role != Role::kAdmin) {
    const Result<v1::Job> job = core_->get(name);
    const Status owner =
        job.ok() ? AccessControl::check_owner(admission->caller, job->owner()) : job.status();
    if (!owner.ok()) {
      return to_grpc(owner);
    }
  }
  return call(admission->caller.submitter);
}

grpc::Status JobsService::SubmitJob(grpc::ServerContext* context,
                                    const v1::SubmitJobRequest* request, v1::Job* response) {
  const Result<Admission> admission = access_->admit(*context, Role::kSubmit, CallKind::kCall);
  if (!admission.ok()) {
    return to_grpc(admission.status());
  }
  return answer(core_->submit(*request, admission->caller.submitter,
                              [context] { return context->IsCancelled(); }),
                response);
}

grpc::Status JobsService::GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                                 v1::Job* response) {
  return read(*context, response, [&] { return core_->get(request->name()); });
}

grpc::Status JobsService::ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                                   v1::ListJobsResponse* response) {
  return read(*context, response, [&] { return core_->list(*request); });
}

grpc::Status JobsService::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                                   grpc::ServerWriter<v1::JobEvent>* writer) {
  const Result<Admission> admission = access_->admit(*context, Role::kRead, CallKind::kWatch);
  if (!admission.ok()) {
    return to_grpc(admission.status());
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

grpc::Status JobsService::CancelJob(grpc::ServerContext* context,
                                    const v1::CancelJobRequest* request, v1::Job* response) {
  return change(*context, request->name(),
                [&](const Submitter&) { return answer(core_->cancel(request->name()), response); });
}

grpc::Status JobsService::PauseJob(grpc::ServerContext* context, const v1::PauseJobRequest* request,
                                   v1::Job* response) {
  return change(*context, request->name(),
                [&](const Submitter&) { return answer(core_->pause(request->name()), response); });
}

grpc::Status JobsService::ResumeJob(grpc::ServerContext* context,
                                    const v1::ResumeJobRequest* request, v1::Job* response) {
  return change(*context, request->name(), [&](const Submitter& submitter) {
    return answer(core_->resume(request->name(), submitter), response);
  });
}

grpc::Status JobsService::DeleteJob(grpc::ServerContext* context,
                                    const v1::DeleteJobRequest* request,
                                    google::protobuf::Empty* /*response*/) {
  return change(*context, request->name(),
                [&](const Submitter&) { return to_grpc(core_->remove(request->name())); });
}

grpc::Status JobsService::GetReport(grpc::ServerContext* context,
                                    const v1::GetReportRequest* request, v1::Report* response) {
  return read(*context, response, [&] { return core_->report(request->name()); });
}

grpc::Status JobsService::ListWorkers(grpc::ServerContext* context,
                                      const v1::ListWorkersRequest* /*request*/,
                                      v1::ListWorkersResponse* response) {
  return read(*context, response,
              [&] { return Result<v1::ListWorkersResponse>(core_->list_workers()); });
}

}  // namespace rotor::coordinator
