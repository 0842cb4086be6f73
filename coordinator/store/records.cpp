#include "coordinator/store/records.h"

#include <google/protobuf/util/time_util.h>

namespace rotor::coordinator {

v1::Job JobRecord::to_proto() const {
  using google::protobuf::util::TimeUtil;
  v1::Job job;
  job.set_name(name());
  job.set_request_id(request_id);
  *job.mutable_spec() = spec;
  job.set_state(state);
  if (state == v1::JOB_STATE_PAUSED || state == v1::JOB_STATE_FAILED) {
    *job.mutable_cause() = cause;
  }
  job.set_revision(revision);
  job.set_layers(layers);
  job.set_committed_layers(committed_layers);
  *job.mutable_create_time() = TimeUtil::MicrosecondsToTimestamp(create_us);
  *job.mutable_update_time() = TimeUtil::MicrosecondsToTimestamp(update_us);
  *job.mutable_estimate() = estimate;
  job.set_output_path(output_path);
  job.set_owner(owner);
  return job;
}

}  // namespace rotor::coordinator
