// A coordinator for tests: the Jobs service in this process, over loopback, with one scripted job.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proto/errors.h"
#include "rotor/v1/jobs.grpc.pb.h"

namespace rotor::cli {

class FakeJobs final : public v1::Jobs::Service {
 public:
  FakeJobs() { listen(0); }
  ~FakeJobs() override { stop(); }

  std::string address() const { return "127.0.0.1:" + port(); }
  std::string port() const { return std::to_string(port_); }
  /// Ends every stream and call, as a dying coordinator does; start() serves on the same port
  /// again.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (server_) {
      server_->Shutdown(std::chrono::system_clock::now());
      server_.reset();
    }
  }
  void start() { listen(port_); }

  void set_job(const v1::Job& job) {
    const std::lock_guard lock(mutex_);
    job_ = job;
  }
  /// Jobs that are listed after the scripted one, by pages.
  void set_older(std::vector<v1::Job> jobs) {
    const std::lock_guard lock(mutex_);
    older_ = std::move(jobs);
  }
  v1::Job job() {
    const std::lock_guard lock(mutex_);
    return job_;
  }
  void set_workers(const v1::ListWorkersResponse& workers) {
    const std::lock_guard lock(mutex_);
    workers_ = workers;
  }
  void set_submit_error(const Status& status) { submit_error_ = status; }
  const v1::SubmitJobRequest& submitted() const { return submitted_; }
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  void add_event(v1::JobEvent event) {
    const std::lock_guard lock(mutex_);
    event.set_revision(static_cast<int64_t>(events_.size()) + 1);
    if (event.has_state()) {
      job_.set_state(event.state().state());
      *job_.mutable_cause() = event.state().cause();
    }
    if (event.has_committed()) {
      job_.set_committed_layers(event.committed().committed_layers());
    }
    job_.set_revision(event.revision());
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  void add_state(v1::JobState state, const Status& cause = {}) {
    v1::JobEvent event;
    event.mutable_state()->set_state(state);
    if (!cause.ok()) {
      *event.mutable_state()->mutable_cause() = to_cause(cause);
    }
    add_event(event);
  }
  void add_commit(int layer, int committed) {
    v1::JobEvent event;
    event.mutable_committed()->set_layer(layer);
    event.mutable_committed()->set_committed_layers(committed);
    event.mutable_committed()->set_layers(4);
    add_event(event);
  }

  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::Job* response) override {
    const std::lock_guard lock(mutex_);
    calls_.push_back("submit");
    submitted_ = *request;
    *response = job_;
    return to_grpc(submit_error_);
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override {
    return answer("get " + request->name(), response);
  }
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::Job* response) override {
    return answer("cancel " + request->name(), response);
  }
  grpc::Status PauseJob(grpc::ServerContext*, const v1::PauseJobRequest* request,
                        v1::Job* response) override {
    return answer("pause " + request->name(), response);
  }
  grpc::Status ResumeJob(grpc::ServerContext*, const v1::ResumeJobRequest* request,
                         v1::Job* response) override {
    return answer("resume " + request->name(), response);
  }
  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                         google::protobuf::Empty*) override {
    const std::lock_guard lock(mutex_);
    calls_.push_back("delete " + request->name());
    return grpc::Status::OK;
  }
  grpc::Status GetReport(grpc::ServerContext*, const v1::GetReportRequest* request,
                         v1::Report* response) override {
    return answer("report " + request->name(), response->mutable_job());
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override {
    const std::lock_guard lock(mutex_);
    calls_.push_back("list " + std::to_string(request->page_size()) + " " + request->page_token());
    if (request->page_token().empty()) {
      *response->add_jobs() = job_;
      response->set_next_page_token("0");
      return grpc::Status::OK;
    }
    const size_t first = std::stoul(request->page_token());
    const size_t end = std::min(older_.size(), first + static_cast<size_t>(request->page_size()));
    response->mutable_jobs()->Add(older_.begin() + static_cast<std::ptrdiff_t>(first),
                                  older_.begin() + static_cast<std::ptrdiff_t>(end));
    response->set_next_page_token(end == older_.size() ? "" : std::to_string(end));
    return grpc::Status::OK;
  }
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override {
    const std::lock_guard lock(mutex_);
    *response = workers_;
    return grpc::Status::OK;
  }
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override {
    std::unique_lock lock(mutex_);
    calls_.push_back("watch " + std::to_string(request->from_revision()));
    for (auto next = static_cast<size_t>(std::max<int64_t>(request->from_revision(), 1));;) {
      while (next <= events_.size()) {
        writer->Write(events_[next++ - 1]);
      }
      const bool ended = job_.state() == v1::JOB_STATE_SUCCEEDED ||
                         job_.state() == v1::JOB_STATE_FAILED ||
                         job_.state() == v1::JOB_STATE_CANCELLED;
      if (ended) {
        return grpc::Status::OK;
      }
      if (stopping_ || context->IsCancelled()) {
        return {grpc::StatusCode::UNAVAILABLE, "going away"};
      }
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
  }

 private:
  void listen(int port) {
    stopping_ = false;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  grpc::Status answer(const std::string& call, v1::Job* response) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
    *response = job_;
    return grpc::Status::OK;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  int port_ = 0;
  v1::Job job_;
  std::vector<v1::Job> older_;
  v1::ListWorkersResponse workers_;
  std::vector<v1::JobEvent> events_;
  std::vector<std::string> calls_;
  v1::SubmitJobRequest submitted_;
  Status submit_error_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace rotor::cli
