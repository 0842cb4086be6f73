#include "ops/cli/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "ops/cli/exit_code.h"
#include "proto/errors.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

using Clock = std::chrono::system_clock;

constexpr auto kTickInterval = std::chrono::milliseconds(100);
constexpr double kShortCallSeconds = 60;
// Validation opens every shard of the model and tokenizes the calibration text.
constexpr double kSubmitSeconds = 3600;
// gRPC servers refuse pings that come more often than every five minutes.
constexpr int kKeepaliveMilliseconds = 310'000;
constexpr int kLargestReport = 256 << 20;
constexpr int kPageSize = 500;
constexpr size_t kIdLength = 16;

Clock::time_point seconds_from_now(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(std::min(seconds, 1e8)));
}

Status interrupted() {
  return cancelled("interrupted while waiting for the coordinator").with_reason(kReasonInterrupted);
}

/// Worth another try: the connection ended, or the coordinator stops, or has too many callers.
bool passing(const Status& status) {
  return status.code() == Code::kUnavailable || status.reason() == "TOO_MANY_CALLS";
}

/// Waits for the next completion while ticking; on false the call is cancelled and still awaited.
bool next_event(grpc::CompletionQueue& queue, grpc::ClientContext& context, const Tick& tick,
                bool* ok, bool* stopped) {
  void* tag = nullptr;
  for (;;) {
    switch (queue.AsyncNext(&tag, ok, Clock::now() + kTickInterval)) {
      case grpc::CompletionQueue::GOT_EVENT:
        return true;
      case grpc::CompletionQueue::SHUTDOWN:
        return false;
      case grpc::CompletionQueue::TIMEOUT:
        if (!*stopped && !tick()) {
          *stopped = true;
          context.TryCancel();
        }
    }
  }
}

void drain(grpc::CompletionQueue& queue) {
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Proxies are for the web; a coordinator is reached directly.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Reports list every module of a model.
  arguments.SetMaxReceiveMessageSize(kLargestReport);
  return arguments;
}

}  // namespace

std::string job_name(const std::string& name_or_id) {
  return name_or_id.rfind("jobs/", 0) == 0 ? name_or_id : "jobs/" + name_or_id;
}

bool has_ended(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

JobsClient::JobsClient(Endpoint endpoint, double timeout_seconds, Tick tick)
    : endpoint_(std::move(endpoint)),
      timeout_seconds_(timeout_seconds),
      tick_(std::move(tick)),
      channel_(open_channel(endpoint_, channel_arguments())) {
  if (channel_.ok()) {
    stub_ = v1::Jobs::NewStub(*channel_);
  }
}

JobsClient::~JobsClient() = default;

Status JobsClient::unreachable() const {
  Status status = unavailable("the coordinator at " + endpoint_.address +
                              " did not answer within " + format_duration(timeout_seconds_))
                      .with_reason(kReasonUnreachable)
                      .with_detail("address", endpoint_.address)
                      .with_detail("remedy",
                                   "check that rotor-coordinator runs there, or name another one "
                                   "with --coordinator HOST:PORT or $ROTOR_COORDINATOR; where it "
                                   "speaks TLS, give --tls-ca");
  // A call that does not wait fails with what the last try to connect failed over.
  grpc::ClientContext context;
  context.set_deadline(seconds_from_now(1));
  v1::Job unused;
  const grpc::Status probe = stub_->GetJob(&context, {}, &unused);
  return probe.error_code() == grpc::StatusCode::UNAVAILABLE
             ? std::move(status).with_detail("connection", probe.error_message())
             : status;
}

Status JobsClient::connect() {
  ROTOR_RETURN_IF_ERROR(channel_.status());
  const Clock::time_point deadline = seconds_from_now(timeout_seconds_);
  while (!(*channel_)->WaitForConnected(std::min(deadline, Clock::now() + kTickInterval))) {
    if (!tick_()) {
      return interrupted();
    }
    if (Clock::now() >= deadline) {
      return unreachable();
    }
  }
  return {};
}

template <typename Request, typename Response, typename Prepare>
Result<Response> JobsClient::call(Prepare prepare, const Request& request,
                                  double deadline_seconds) {
  std::optional<Clock::time_point> give_up;
  for (;;) {
    ROTOR_RETURN_IF_ERROR(connect());
    grpc::ClientContext context;
    context.set_deadline(seconds_from_now(deadline_seconds));
    grpc::CompletionQueue queue;
    Response response;
    grpc::Status answer;
    auto reader = (stub_.get()->*prepare)(&context, request, &queue);
    reader->StartCall();
    reader->Finish(&response, &answer, nullptr);
    bool ok = false;
    bool stopped = false;
    next_event(queue, context, tick_, &ok, &stopped);
    drain(queue);
    if (stopped) {
      return interrupted();
    }
    if (answer.ok()) {
      return response;
    }
    const Status status = from_grpc(answer);
    if (!passing(status)) {
      return status;
    }
    // The time starts with the first loss: the call itself may have taken long.
    give_up = give_up.value_or(seconds_from_now(timeout_seconds_));
    if (Clock::now() >= *give_up) {
      return status.reason().empty() ? unreachable() : status;
    }
    std::this_thread::sleep_for(kTickInterval);
  }
}

Result<v1::Job> JobsClient::submit(const v1::SubmitJobRequest& request) {
  return call<v1::SubmitJobRequest, v1::Job>(&v1::Jobs::Stub::PrepareAsyncSubmitJob, request,
                                             kSubmitSeconds);
}

Result<v1::Job> JobsClient::get(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  return call<v1::GetJobRequest, v1::Job>(&v1::Jobs::Stub::PrepareAsyncGetJob, request,
                                          kShortCallSeconds);
}

Result<v1::Job> JobsClient::cancel(const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  return call<v1::CancelJobRequest, v1::Job>(&v1::Jobs::Stub::PrepareAsyncCancelJob, request,
                                             kShortCallSeconds);
}

Result<v1::Job> JobsClient::pause(const std::string& name) {
  v1::PauseJobRequest request;
  request.set_name(name);
  return call<v1::PauseJobRequest, v1::Job>(&v1::Jobs::Stub::PrepareAsyncPauseJob, request,
                                            kShortCallSeconds);
}

Result<v1::Job> JobsClient::resume(const std::string& name) {
  v1::ResumeJobRequest request;
  request.set_name(name);
  return call<v1::ResumeJobRequest, v1::Job>(&v1::Jobs::Stub::PrepareAsyncResumeJob, request,
                                             kShortCallSeconds);
}

Status JobsClient::remove(const std::string& name) {
  v1::DeleteJobRequest request;
  request.set_name(name);
  return call<v1::DeleteJobRequest, google::protobuf::Empty>(&v1::Jobs::Stub::PrepareAsyncDeleteJob,
                                                             request, kShortCallSeconds)
      .status();
}

Result<v1::Report> JobsClient::report(const std::string& name) {
  v1::GetReportRequest request;
  request.set_name(name);
  return call<v1::GetReportRequest, v1::Report>(&v1::Jobs::Stub::PrepareAsyncGetReport, request,
                                                kShortCallSeconds);
}

Result<v1::ListWorkersResponse> JobsClient::workers() {
  return call<v1::ListWorkersRequest, v1::ListWorkersResponse>(
      &v1::Jobs::Stub::PrepareAsyncListWorkers, {}, kShortCallSeconds);
}

Result<v1::ListJobsResponse> JobsClient::list_page(const v1::ListJobsRequest& request) {
  return call<v1::ListJobsRequest, v1::ListJobsResponse>(&v1::Jobs::Stub::PrepareAsyncListJobs,
                                                         request, kShortCallSeconds);
}

Result<std::vector<v1::Job>> JobsClient::list(const std::vector<v1::JobState>& states, int limit) {
  std::vector<v1::Job> jobs;
  v1::ListJobsRequest request;
  for (const v1::JobState state : states) {
    request.add_states(state);
  }
  do {
    request.set_page_size(std::min(limit - static_cast<int>(jobs.size()), kPageSize));
    ROTOR_ASSIGN_OR_RETURN(v1::ListJobsResponse page, list_page(request));
    std::move(page.mutable_jobs()->begin(), page.mutable_jobs()->end(), std::back_inserter(jobs));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && static_cast<int>(jobs.size()) < limit);
  return jobs;
}

Result<std::string> JobsClient::find(const std::string& name_or_id) {
  std::string name = job_name(name_or_id);
  if (name == job_name("")) {
    return invalid_argument("'" + name_or_id +
                            "' names no job: give jobs/ID, its ID, or the beginning of the ID; "
                            "`rotor jobs` lists them")
        .with_reason(kReasonUsage);
  }
  if (name.size() >= job_name("").size() + kIdLength) {
    return name;
  }
  std::set<std::string> matches;
  v1::ListJobsRequest request;
  request.set_page_size(kPageSize);
  do {
    ROTOR_ASSIGN_OR_RETURN(const v1::ListJobsResponse page, list_page(request));
    for (const v1::Job& job : page.jobs()) {
      if (job.name() == name) {
        return name;
      }
      if (job.name().starts_with(name)) {
        matches.insert(job.name());
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (matches.size() == 1) {
    return *matches.begin();
  }
  if (matches.empty()) {
    return not_found("no job's ID begins with '" + name_or_id + "'; `rotor jobs` lists them")
        .with_reason("NO_SUCH_JOB")
        .with_detail("job", name_or_id);
  }
  std::string list;
  for (const std::string& match : matches) {
    list += (list.empty() ? "" : ", ") + match;
  }
  return invalid_argument("the IDs of " + std::to_string(matches.size()) + " jobs begin with '" +
                          name_or_id + "': give more of it")
      .with_reason("AMBIGUOUS_JOB")
      .with_detail("jobs", list);
}

Status JobsClient::watch_once(const std::string& name, int64_t* next_revision,
                              const std::function<void(const v1::JobEvent&)>& on_event) {
  v1::WatchJobRequest request;
  request.set_name(name);
  request.set_from_revision(*next_revision);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto reader = stub_->PrepareAsyncWatchJob(&context, request, &queue);
  bool ok = false;
  bool stopped = false;
  reader->StartCall(nullptr);
  next_event(queue, context, tick_, &ok, &stopped);
  while (ok && !stopped) {
    v1::JobEvent event;
    reader->Read(&event, nullptr);
    next_event(queue, context, tick_, &ok, &stopped);
    if (ok && event.revision() >= *next_revision) {
      *next_revision = event.revision() + 1;
      on_event(event);
      // A long history comes without pause, and a signal must not wait for its end.
      if (!stopped && !tick_()) {
        stopped = true;
        context.TryCancel();
      }
    }
  }
  grpc::Status answer;
  reader->Finish(&answer, nullptr);
  next_event(queue, context, tick_, &ok, &stopped);
  drain(queue);
  return stopped ? interrupted() : from_grpc(answer);
}

Status JobsClient::watch(const std::string& name, int64_t from_revision, double away_seconds,
                         const std::function<void(const v1::JobEvent&)>& on_event) {
  int64_t next_revision = std::max<int64_t>(from_revision, 1);
  Clock::time_point give_up = seconds_from_now(away_seconds);
  bool away = false;
  for (;;) {
    const int64_t before = next_revision;
    Status status = connect();
    if (status.ok() && away) {
      // A stopping coordinator still takes connections; one that answers is back.
      status = get(name).status();
      if (status.ok()) {
        away = false;
        contact_(true);
      }
    }
    if (status.ok()) {
      status = watch_once(name, &next_revision, on_event);
    }
    if (next_revision != before) {
      give_up = seconds_from_now(away_seconds);
    }
    if (!passing(status)) {
      return status;
    }
    if (!std::exchange(away, true)) {
      contact_(false);
    }
    if (Clock::now() >= give_up) {
      return status.reason().empty() ? unreachable() : status;
    }
    std::this_thread::sleep_for(kTickInterval);
  }
}

}  // namespace rotor::cli
