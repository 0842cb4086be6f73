// Rows of the job store as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rotor/v1/job.pb.h"
#include "rotor/v1/workers.pb.h"

namespace rotor::coordinator {

/// A file that a job reads besides the model, as it was when the job was submitted.
struct InputFile {
  std::string path;  // absolute
  int64_t size = 0;
  std::string sha256;  // hex, of the content
  bool evaluation = false;
};

struct JobRecord {
  // Written once.
  int64_t sequence = 0;  // rises with every job of the store
  std::string id;        // "jobs/" + id is its name
  std::string request_id;
  std::string owner;    // name of the token that it was submitted with; empty: none
  v1::JobSpec request;  // as it was asked for
  v1::JobSpec spec;     // with defaults
  v1::Estimate estimate;
  std::string model_path;   // absolute
  std::string output_path;  // absolute
  std::vector<InputFile> inputs;
  std::string source;  // ModelFingerprint::to_text()
  std::string calibration_digest;
  int32_t algorithm_version = 0;
  int32_t layers = 0;
  int64_t create_us = 0;  // microseconds since the epoch

  // Changes with the job.
  v1::JobState state = v1::JOB_STATE_PENDING;
  v1::Cause cause;
  int64_t revision = 0;
  int64_t update_us = 0;
  int32_t committed_layers = 0;
  int64_t last_fence = 0;       // rises with every lease, never falls
  int32_t failures = 0;         // ShardFailed since the last commit
  int32_t resumed_layers = 0;   // committed when workers last began on the idle job
  int32_t computed_layers = 0;  // commits accepted
  int64_t fallbacks = 0;        // modules of committed layers that fell back
  std::optional<double> perplexity;
  int64_t perplexity_tokens = 0;
  int64_t assemble_us = 0;
  int64_t output_bytes = 0;
  std::string published;  // identity of the directory about to be published; see assemble/
  int64_t steady_us =
      0;  // of the last change, by a clock that is never set; leases are timed by it

  std::string name() const { return "jobs/" + id; }
  bool ended() const {
    return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
           state == v1::JOB_STATE_CANCELLED;
  }
  /// Whether its committed layers are of no more use: those of a job that failed wait for a resume.
  bool done_with_layers() const { return ended() && state != v1::JOB_STATE_FAILED; }
  /// What clients see.
  v1::Job to_proto() const;
};

/// A committed layer.
struct LayerRecord {
  int32_t layer = 0;
  int64_t fence = 0;
  std::string file;          // name in the job's staging directory; empty: no tensors
  v1::CommitLayer manifest;  // tensors with digests; its report is kept in `report`
  v1::LayerReport report;
};

/// What a job that has ended leaves to be removed: its staging, and where it did not succeed its
/// unfinished output.
struct Cleanup {
  std::string job_id;
  std::string partial;        // empty: none
  std::string identity;       // of the partial directory, where it is on record
  bool keep_staging = false;  // of a job that failed only the unfinished output goes; not stored,
                              // since the job itself tells it
};

struct LeaseRecord {
  int64_t fence = 0;
  int32_t first_layer = 0;
  int32_t end_layer = 0;
  std::string worker;
  int32_t ranks = 0;
  int64_t begin_us = 0;  // as JobRecord::steady_us
  std::optional<int64_t> end_us;
  std::string reason;  // why it ended
};

}  // namespace rotor::coordinator
