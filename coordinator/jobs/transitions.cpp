#include "coordinator/jobs/transitions.h"

#include <utility>

#include "coordinator/jobs/output_path.h"
#include "proto/enum_names.h"
#include "proto/errors.h"

namespace rotor::coordinator {
namespace {

/// Whether the change may come to a job in this state; the counts are looked at by apply().
bool fits(v1::JobState state, const LeaseGiven& /*change*/) {
  return state == v1::JOB_STATE_PENDING || state == v1::JOB_STATE_RUNNING;
}

/// Workers hand in what they have under way after a pause, too.
bool fits(v1::JobState state, const LayerMade& /*change*/) {
  return state == v1::JOB_STATE_RUNNING || state == v1::JOB_STATE_PAUSED;
}

bool is_under_way(v1::JobState state) {
  return state == v1::JOB_STATE_RUNNING || state == v1::JOB_STATE_PAUSED ||
         state == v1::JOB_STATE_FINALIZING;
}

bool fits(v1::JobState state, const LayerDamaged& /*change*/) {
  return is_under_way(state);
}

bool fits(v1::JobState state, const Evaluated& /*change*/) {
  return is_under_way(state);
}

bool fits(v1::JobState state, const WorkFailed& /*change*/) {
  return is_under_way(state);
}

bool fits(v1::JobState state, const Completed& /*change*/) {
  return state == v1::JOB_STATE_RUNNING;
}

bool fits(v1::JobState state, const Publishing& /*change*/) {
  return state == v1::JOB_STATE_FINALIZING;
}

bool fits(v1::JobState state, const Assembled& /*change*/) {
  return state == v1::JOB_STATE_FINALIZING;
}

bool fits(v1::JobState state, const Stopped& change) {
  const bool open = state == v1::JOB_STATE_PENDING || is_under_way(state);
  switch (change.state) {
    case v1::JOB_STATE_PAUSED:
    case v1::JOB_STATE_FAILED:
      return open;
    case v1::JOB_STATE_CANCELLED:
      return open || state == v1::JOB_STATE_FAILED;
    case v1::JOB_STATE_SUCCEEDED:
      return state == v1::JOB_STATE_FINALIZING;
    default:
      return false;
  }
}

bool fits(v1::JobState state, const Resumed& /*change*/) {
  return state == v1::JOB_STATE_PAUSED || state == v1::JOB_STATE_FAILED;
}

bool fits(v1::JobState state, const Deleted& /*change*/) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

void tell(Outcome* outcome, const v1::Cause& cause) {
  v1::StateChanged told;
  told.set_state(outcome->record.state);
  if (cause.code() != 0) {
    *told.mutable_cause() = cause;
  }
  outcome->told = std::move(told);
}

void enter(Outcome* outcome, v1::JobState state, const Status& cause = {}) {
  outcome->record.state = state;
  outcome->record.cause = cause.ok() ? v1::Cause() : to_cause(cause);
  tell(outcome, outcome->record.cause);
}

Result<Outcome> misfit(const JobRecord& record, const std::string& what) {
  return internal_error(record.name() + " is " + state_name(record.state) + ", with " +
                        std::to_string(record.committed_layers) + " of " +
                        std::to_string(record.layers) + " layers committed: " + what)
      .with_reason("BAD_TRANSITION");
}

Result<Outcome> apply(Outcome outcome, const LeaseGiven& change) {
  JobRecord& record = outcome.record;
  ++record.last_fence;
  if (change.only) {
    record.resumed_layers = record.committed_layers;
  }
  if (record.state == v1::JOB_STATE_PENDING) {
    enter(&outcome, v1::JOB_STATE_RUNNING);
  }
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const LayerMade& change) {
  JobRecord& record = outcome.record;
  if (record.committed_layers == record.layers) {
    return misfit(record, "it has no more layers to commit");
  }
  ++record.committed_layers;
  ++record.computed_layers;
  record.failures = 0;
  record.fallbacks += change.fallbacks;
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const LayerDamaged& change) {
  JobRecord& record = outcome.record;
  if (record.committed_layers == 0) {
    return misfit(record, "it has no layer to lose");
  }
  --record.committed_layers;
  record.fallbacks -= change.fallbacks;
  if (record.state == v1::JOB_STATE_FINALIZING) {
    record.state = v1::JOB_STATE_RUNNING;
    tell(&outcome, to_cause(change.cause));
  }
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Evaluated& change) {
  outcome.record.perplexity = change.perplexity;
  outcome.record.perplexity_tokens = change.tokens;
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const WorkFailed& /*change*/) {
  ++outcome.record.failures;
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Completed& /*change*/) {
  if (!is_complete(outcome.record)) {
    return misfit(outcome.record, "it is not complete");
  }
  enter(&outcome, v1::JOB_STATE_FINALIZING);
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Publishing& change) {
  outcome.record.published = change.identity;
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Assembled& change) {
  outcome.record.assemble_us = change.took_us;
  outcome.record.output_bytes = change.bytes;
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Stopped& change) {
  enter(&outcome, change.state, change.cause);
  if (outcome.record.ended()) {
    outcome.cleanup = cleanup_of(outcome.record);
  }
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Resumed& /*change*/) {
  JobRecord& record = outcome.record;
  record.failures = 0;
  const v1::JobState begun = record.last_fence == 0 ? v1::JOB_STATE_PENDING : v1::JOB_STATE_RUNNING;
  enter(&outcome, is_complete(record) ? v1::JOB_STATE_FINALIZING : begun);
  return outcome;
}

Result<Outcome> apply(Outcome outcome, const Deleted& /*change*/) {
  if (outcome.record.state == v1::JOB_STATE_FAILED) {
    outcome.cleanup = cleanup_of(outcome.record);
    outcome.cleanup->keep_staging = false;
  }
  return outcome;
}

}  // namespace

Result<Outcome> apply_change(const JobRecord& record, const JobChange& change) {
  return std::visit(
      [&record](const auto& one) -> Result<Outcome> {
        if (!fits(record.state, one)) {
          return misfit(record, "what happened does not fit that");
        }
        return apply({record, std::nullopt, std::nullopt}, one);
      },
      change);
}

bool is_complete(const JobRecord& record) {
  return record.committed_layers == record.layers &&
         (!record.spec.has_evaluation() || record.perplexity);
}

Cleanup cleanup_of(const JobRecord& record) {
  const bool succeeded = record.state == v1::JOB_STATE_SUCCEEDED;
  return {record.id, succeeded ? "" : partial_output(record.output_path), record.published,
          record.state == v1::JOB_STATE_FAILED};
}

}  // namespace rotor::coordinator
