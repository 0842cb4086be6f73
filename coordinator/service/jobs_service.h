// rotor.v1.Jobs over the core: who may call, translation, and the loop of a watch.
//
// Thread-safety: gRPC calls it from its own threads. Errors: to_grpc() of the core's and of
// AccessControl.
#pragma once

#include "coordinator/access/access_control.h"
#include "coordinator/jobs/core.h"
#include "rotor/v1/jobs.grpc.pb.h"

namespace rotor::coordinator {

class JobsService final : public v1::Jobs::Service {
 public:
  JobsService(Core* core, AccessControl* access) : core_(core), access_(access) {}

  grpc::Status SubmitJob(grpc::ServerContext* context, const v1::SubmitJobRequest* request,
                         v1::Job* response) override;
  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override;
  grpc::Status CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status PauseJob(grpc::ServerContext* context, const v1::PauseJobRequest* request,
                        v1::Job* response) override;
  grpc::Status ResumeJob(grpc::ServerContext* context, const v1::ResumeJobRequest* request,
                         v1::Job* response) override;
  grpc::Status DeleteJob(grpc::ServerContext* context, const v1::DeleteJobRequest* request,
                         google::protobuf::Empty* response) override;
  grpc::Status GetReport(grpc::ServerContext* context, const v1::GetReportRequest* request,
                         v1::Report* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;

 private:
  /// Answers with call() to one who may read.
  template <typename Call, typename Message>
  grpc::Status read(const grpc::ServerContext& context, Message* response, Call call);
  /// Returns call(submitter) to the job's owner, or an admin.
  template <typename Call>
  grpc::Status change(const grpc::ServerContext& context, const std::string& name, Call call);

  Core* core_;
  AccessControl* access_;
};

}  // namespace rotor::coordinator
