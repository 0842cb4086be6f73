#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/jobs/copied_tensors.h"
#include "coordinator/jobs/core.h"
#include "coordinator/jobs/output_path.h"
#include "coordinator/jobs/source_check.h"
#include "proto/convert.h"
#include "proto/errors.h"
#include "proto/transport/random_hex.h"

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
constexpr size_t kJobIdBytes = 8;

/// The coordinator's options, or the submitter's own roots.
CoordinatorOptions narrowed(CoordinatorOptions options, const Submitter& submitter) {
  if (!submitter.model_root.empty()) {
    options.model_root = submitter.model_root;
  }
  if (!submitter.data_roots.empty()) {
    options.data_roots = submitter.data_roots;
  }
  if (!submitter.output_root.empty()) {
    options.output_root = submitter.output_root;
  }
  return options;
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
      fit_to_model(model, &*spec);
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
  ROTOR_RETURN_IF_ERROR(check_source(fs_, record).status());
  return record.to_proto();
}

Status Core::check_output_unused(const std::string& output_path) {
  if (is_within(output_path, options_.state_dir)) {
    return invalid_argument("output " + output_path +
                            " lies in the coordinator's --state-dir; "
                            "choose another directory")
        .with_reason("OUTPUT_IN_STATE_DIR")
        .with_detail("output", output_path);
  }
  for (const auto& [sequence, job] : jobs_) {
    const std::string& other = job->record.output_path;
    if (is_within(output_path, other) || is_within(other, output_path)) {
      const std::string relation = other == output_path ? " is that of " : " overlaps that of ";
      return already_exists("output " + output_path + relation + job->record.name() + ", " +
                            state_name(job->record.state) +
                            "; choose another directory, or cancel that job")
          .with_reason("OUTPUT_IN_USE")
          .with_detail("output", output_path)
          .with_detail("job", job->record.name());
    }
  }
  return {};
}

Status Core::check_quota(const Submitter& submitter) {
  const auto open = std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    return entry.second->record.owner == submitter.owner;
  });
  if (submitter.most_open_jobs == 0 || open < submitter.most_open_jobs) {
    return {};
  }
  return resource_exhausted("'" + submitter.owner + "' has " + std::to_string(open) +
                            " jobs that have not ended, as many as it may; wait for one, or "
                            "cancel it")
      .with_reason("TOO_MANY_JOBS")
      .with_detail("jobs", std::to_string(open));
}

Result<v1::Job> Core::submit(const v1::SubmitJobRequest& request, const Submitter& submitter,
                             const std::function<bool()>& cancelled) {
  if (!request.validate_only()) {
    ROTOR_RETURN_IF_ERROR(check_request_id(request.request_id()));
  }
  ROTOR_ASSIGN_OR_RETURN(
      const ValidationSlots::Slot slot,
      validations_.enter(request.validate_only() ? "" : request.request_id(), cancelled));
  if (!request.validate_only()) {
    ROTOR_ASSIGN_OR_RETURN(const std::optional<JobRecord> known,
                           store_->job_of_request(request.request_id()));
    if (known) {
      return existing_job(*known, request);
    }
  }
  Validation validation =
      validate_job(fs_, narrowed(options_, submitter), request.spec(), cancelled);
  if (validation.problems.empty()) {
    const std::lock_guard lock(mutex_);
    complete_estimate(validation.record.output_path, &validation.record.estimate);
    for (Status status :
         {check_output_unused(validation.record.output_path), check_quota(submitter)}) {
      if (!status.ok()) {
        validation.problems.push_back(std::move(status));
      }
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
  ROTOR_ASSIGN_OR_RETURN(record.id, random_hex(kJobIdBytes));
  record.request_id = request.request_id();
  record.owner = submitter.owner;
  record.create_us = clock_.wall_us();
  record.update_us = record.create_us;
  record.steady_us = steady_us();
  ROTOR_RETURN_IF_ERROR(create_directories(fs_, parent_directory(record.output_path)));
  ROTOR_RETURN_IF_ERROR(staging_.prepare_job(record.id));

  const std::lock_guard lock(mutex_);
  // Another one may have been faster, or have taken the last place, while this one was validated.
  for (Status late : {check_output_unused(record.output_path), check_quota(submitter)}) {
    if (!late.ok()) {
      // What is left is empty, and the next start of the coordinator names it.
      (void)staging_.remove_job(record.id);
      return late;
    }
  }
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
