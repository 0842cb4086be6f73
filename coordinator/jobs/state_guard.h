// Whether a state directory is whole (faults.md row 36): the store, the staged layers beside it,
// and a file that counts how often the store was opened. What is lost, emptied, put back from an
// old copy or not mounted is refused by name, before anything in it is changed.
//
// Thread-safety: plain functions, under the state's lock. Errors: FAILED_PRECONDITION, STATE_LOST
// (no store beside staged layers), STATE_OLDER (the store is older than what lies beside it),
// STATE_INCOMPLETE (committed layers without their directory); those of the file system.
#pragma once

#include <string>

#include "coordinator/staging/staging_area.h"
#include "coordinator/store/job_store.h"

namespace rotor::coordinator {

/// Before the store is opened for work, which would make a new one and change an old one.
Status check_store(FileSystem& fs, const std::string& state_dir, const StagingArea& staging);
/// After it: counts the opening, in the store first.
Status note_opening(FileSystem& fs, const std::string& state_dir, JobStore* store);
/// That a job's staged layers are those of its record, before any is removed. `has_files`: some of
/// its committed layers have files.
Status check_staging(FileSystem& fs, const StagingArea& staging, const JobRecord& job,
                     bool has_files);

}  // namespace rotor::coordinator
