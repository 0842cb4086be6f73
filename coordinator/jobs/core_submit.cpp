#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/source_check.h"
#include "proto/convert.h"
#include "proto/errors.h"

namespace rotor::coordinator {
namespace {

constexpr size_t kLongestRequestId = 128;

Status check_request_id(const std::string& id) {
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!id.empty() && id.size() <= kLongestRequestId && plain) {
    return {};
  }
  return invalid_argument("request_id '" + id.substr(0, kLongestRequestId) +
                          "' must be 1 to 128 of A-Z a-z 0-9 . _ -")
      .with_reason("BAD_REQUEST_ID");
}

/// Random, so that a worker of another coordinator's job never meets one of the same name here.
Result<std::string> make_job_id() {
  uint8_t bytes[8];
  if (::getrandom(bytes, sizeof(bytes), 0) != static_cast<ssize_t>(sizeof(bytes))) {
    return errno_error(errno, "getrandom", "job id");
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  for (const uint8_t byte : bytes) {
    id += kHex[byte >> 4];
    id += kHex[byte & 15];
  }
  return id;
}

Status first_problem(const std::vector<Status>& problems) {
  Status first = problems.front();
  if (problems.size() == 1) {
    return first;
  }
  Status counted(first.code(), first.message() + " (and " + std::to_string(problems.size() - 1) +
                                   " more; validate_only lists every problem)");
  counted = std::move(counted).with_reason(first.reason());
  for (const auto& [key, value] : first.details()) {
    counted = std::move(counted).with_detail(key, value);
  }
  return counted;
}

v1::Job validation_result(const Validation& validation) {
  v1::Job job = validation.record.to_proto();
  job.clear_name();
  job.clear_state();
  job.clear_create_time();
  job.clear_update_time();
  for (const Status& problem : validation.problems) {
    *job.add_problems() = to_cause(problem);
  }
  return job;
}

}  // namespace

Result<v1::Job> Core::existing_job(const JobRecord& record, const v1::SubmitJobRequest& request) {
  if (request.spec().SerializeAsString() != record.request.SerializeAsString()) {
    // What the request leaves to the defaults may be spelled out in the other one.
    Result<v1::JobSpec> spec = with_defaults(request.spec());
    if (spec.ok()) {
      // By that job's model; another model is a difference of its own.
      ROTOR_ASSIGN_OR_RETURN(const ModelFiles model, open_model(fs_, record.model_path));
      fit_to_model(model.architecture, &*spec);
    }
    const std::vector<std::string> differences =
        spec_differences(record.spec, spec.ok() ? *spec : request.spec());
    if (!differences.empty()) {
      std::string list;
      for (const std::string& difference : differences) {
        list += (list.empty() ? "" : "; ") + difference;
      }
      return already_exists("request_id " + request.request_id() + " is that of " + record.name() +
                            ", whose spec differs: " + list +
                            "; submit under another request_id, or delete that job first "
                            "(`rotor quantize --restart` does)")
          .with_reason("REQUEST_ID_TAKEN")
          .with_detail("job", record.name())
          .with_detail("differences", list);
    }
  }
  ROTOR_RETURN_IF_ERROR(check_source(fs_, record));
  return record.to_proto();
}

Status Core::check_output_unused(const std::string& output_path) {
  for (const auto& [sequence, job] : jobs_) {
    if (job->record.output_path == output_path) {
      return already_exists("output " + output_path + " is that of " + job->record.name() + ", " +
                            state_name(job->record.state) +
                            "; choose another directory, or cancel that job")
          .with_reason("OUTPUT_IN_USE")
          .with_detail("output", output_path)
          .with_detail("job", job->record.name());
    }
  }
  return {};
}

Result<v1::Job> Core::submit(const v1::SubmitJobRequest& request) {
  if (!request.validate_only()) {
    ROTOR_RETURN_IF_ERROR(check_request_id(request.request_id()));
  }
  const std::lock_guard submit_lock(submit_mutex_);
  if (!request.validate_only()) {
    ROTOR_ASSIGN_OR_RETURN(const std::optional<JobRecord> known,
                           store_->job_of_request(request.request_id()));
    if (known) {
      return existing_job(*known, request);
    }
  }
  Validation validation = validate_job(fs_, options_, request.spec());
  if (validation.problems.empty()) {
    const std::lock_guard lock(mutex_);
    if (Status unused = check_output_unused(validation.record.output_path); !unused.ok()) {
      validation.problems.push_back(std::move(unused));
    }
  }
  if (request.validate_only()) {
    return validation_result(validation);
  }
  if (!validation.problems.empty()) {
    return first_problem(validation.problems);
  }

  auto job = std::make_unique<OpenJob>();
  job->prepared = std::move(validation.prepared);
  JobRecord& record = job->record;
  record = std::move(validation.record);
  ROTOR_ASSIGN_OR_RETURN(record.id, make_job_id());
  record.request_id = request.request_id();
  record.create_us = clock_.wall_us();
  record.update_us = record.create_us;
  ROTOR_RETURN_IF_ERROR(staging_.prepare_job(record.id));

  const std::lock_guard lock(mutex_);
  const Status stored = store_->write([&](StoreWriter& writer) -> Status {
    ROTOR_RETURN_IF_ERROR(writer.insert_job(&record));
    v1::JobEvent event;
    event.mutable_state()->set_state(record.state);
    ROTOR_RETURN_IF_ERROR(writer.append_event(&record, std::move(event)));
    return writer.update_job(record);
  });
  ROTOR_RETURN_IF_ERROR(stored);
  spdlog::info("{} submitted: {} -> {}", record.name(), record.model_path, record.output_path);
  v1::Job answer = record.to_proto();
  jobs_.emplace(record.sequence, std::move(job));
  hub_.notify();
  poke();
  return answer;
}

}  // namespace rotor::coordinator
