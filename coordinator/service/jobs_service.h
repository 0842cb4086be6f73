// rotor.v1.Jobs over the core: nothing but translation, and the loop of a watch.
//
// Thread-safety: gRPC calls it from its own threads. Errors: to_grpc() of the core's.
#pragma once

#include <atomic>

#include "coordinator/jobs/core.h"
#include "rotor/v1/jobs.grpc.pb.h"

namespace rotor::coordinator {

class JobsService final : public v1::Jobs::Service {
 public:
  /// Watchers at the same time; each holds a thread, and the workers need some, too.
  static constexpr int kMostWatchers = 64;

  explicit JobsService(Core* core) : core_(core) {}

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

 private:
  Core* core_;
  std::atomic<int> watchers_{0};
};

}  // namespace rotor::coordinator
