// The Jobs API as functions that return Result. Owns one channel.
//
// Reaching the coordinator is bounded by the timeout; once it answers, a call may take as long as
// its own deadline (validation reads the model's headers and tokenizes calibration text). Every
// call is idempotent (submit by its request id), so one that a dying connection cut off is made
// again. While a call waits, `tick` runs about ten times a second on the caller's thread; when it
// returns false the call ends with CANCELLED, reason INTERRUPTED.
//
// Thread-safety: one thread. Errors: what the coordinator says; UNAVAILABLE with reason
// UNREACHABLE, naming address and remedy, where it does not answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/transport/client_security.h"
#include "quant/base/status.h"
#include "rotor/v1/jobs.grpc.pb.h"

namespace rotor::cli {

using Tick = std::function<bool()>;

/// "7" and "jobs/7" both name the job "jobs/7".
std::string job_name(const std::string& name_or_id);
/// PENDING, RUNNING, PAUSED and FINALIZING have not ended.
bool has_ended(v1::JobState state);

class JobsClient {
 public:
  /// Connects with the first call.
  JobsClient(
      Endpoint endpoint, double timeout_seconds, Tick tick = [] { return true; });
  ~JobsClient();

  /// Called by watch() with false when the coordinator is gone and with true when it is back.
  void on_contact(std::function<void(bool)> contact) { contact_ = std::move(contact); }

  const std::string& address() const { return endpoint_.address; }

  /// The name of the one job that "jobs/ID", an ID or the beginning of an ID stands for: of the
  /// latter every job is looked at. Errors: NOT_FOUND (NO_SUCH_JOB), INVALID_ARGUMENT
  /// (AMBIGUOUS_JOB with the jobs that begin so; USAGE where there is no ID).
  Result<std::string> find(const std::string& name_or_id);
  Result<v1::Job> submit(const v1::SubmitJobRequest& request);
  Result<v1::Job> get(const std::string& name);
  Result<v1::Job> cancel(const std::string& name);
  Result<v1::Job> pause(const std::string& name);
  Result<v1::Job> resume(const std::string& name);
  Status remove(const std::string& name);
  Result<v1::Report> report(const std::string& name);
  Result<v1::ListWorkersResponse> workers();
  /// Newest first, at most `limit`; `states` empty means all.
  Result<std::vector<v1::Job>> list(const std::vector<v1::JobState>& states, int limit);

  /// Calls on_event for every event from `from_revision` on, each once and in order, until the job
  /// has ended, through any number of lost connections. Gives up when the coordinator has been away
  /// for `away_seconds` (infinity: never).
  Status watch(const std::string& name, int64_t from_revision, double away_seconds,
               const std::function<void(const v1::JobEvent&)>& on_event);

 private:
  class Call;
  template <typename Request, typename Response, typename Prepare>
  Result<Response> call(Prepare prepare, const Request& request, double deadline_seconds);
  Status connect();
  Result<v1::ListJobsResponse> list_page(const v1::ListJobsRequest& request);
  Status watch_once(const std::string& name, int64_t* next_revision,
                    const std::function<void(const v1::JobEvent&)>& on_event);
  /// With what the connection failed over, where gRPC says it.
  Status unreachable() const;

  Endpoint endpoint_;
  double timeout_seconds_;
  Tick tick_;
  std::function<void(bool)> contact_ = [](bool) {};
  Result<std::shared_ptr<grpc::Channel>> channel_;  // an error is that of every call
  std::unique_ptr<v1::Jobs::Stub> stub_;
};

}  // namespace rotor::cli
