// Puts a checkpoint together: every tensor copied into its shard, quantized ones from the staged
// layers with their digests checked on the way, the others from the source bit for bit; then index,
// config, the source's other files and the report; read back and verified; published by one rename.
//
// All of it happens in OUTPUT.rotor-partial, beside the output, so a crash at any point leaves
// either that directory, which the next try removes, or the whole checkpoint. A directory of that
// name that the job did not make is left alone (NOT_THIS_JOBS).
//
// Thread-safety: one assembly per output at a time. Cost: one pass of writing and one of reading
// over the output; memory is one piece of 1 MiB and the names.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/store/records.h"
#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

struct AssemblyInput {
  JobRecord job;
  std::shared_ptr<const PreparedJob> prepared;
  std::vector<LayerRecord> layers;  // all, in order, with their reports
  std::string staging;              // the job's staging directory
};

struct AssemblyHooks {
  /// Asked between pieces; true: give up with CANCELLED.
  std::function<bool()> stopped;
  /// Called with the identity of the finished directory right before the rename; an error stops it.
  std::function<Status(const std::string& identity)> before_publish;
};

struct AssemblyResult {
  int64_t bytes = 0;
  int32_t files = 0;
};

/// Whether the job's checkpoint is in its place already, as after a crash between the rename and
/// the record of success. ALREADY_EXISTS, OUTPUT_EXISTS, where something of another's is there.
Result<bool> already_published(FileSystem& fs, const JobRecord& job);

/// Errors: those of already_published; DATA_LOSS, STAGED_LAYER_DAMAGED with detail "layer";
/// FAILED_PRECONDITION, SOURCE_CHANGED; RESOURCE_EXHAUSTED, DISK_FULL; INTERNAL, CHECKPOINT_INVALID
/// for what verification found; CANCELLED; file system. On any of them the partial directory is
/// removed.
Result<AssemblyResult> assemble_checkpoint(FileSystem& fs, const AssemblyInput& input,
                                           const AssemblyHooks& hooks);

}  // namespace rotor::coordinator
