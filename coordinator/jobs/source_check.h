// Whether a job's inputs are still what they were when it was submitted (faults.md row 22): model
// by fingerprint, calibration and evaluation files by content, program by algorithm version.
//
// Thread-safety: plain functions. Cost: the model's headers, and every byte of the input files.
#pragma once

#include "coordinator/store/records.h"
#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

/// Size and digest of a file as it is now. Errors: those of reading it.
Result<InputFile> describe_input(FileSystem& fs, const std::string& path, bool evaluation);

/// FAILED_PRECONDITION, reason SOURCE_CHANGED, naming the file and what differs. An error of
/// another reason: the source could not be looked at; try again later.
Status check_source(FileSystem& fs, const JobRecord& job);

}  // namespace rotor::coordinator
