// Whether a job's inputs are still what they were when it was submitted (faults.md rows 22, 33,
// 34): model by fingerprint, calibration and evaluation files by content, program by algorithm
// version. What cannot be read may come back (a late mount, a lapsed permission); what reads
// differently will not by itself.
//
// Thread-safety: plain functions. Cost: the model's headers and samples (model/fingerprint.h), and
// every byte of the input files.
#pragma once

#include "coordinator/store/records.h"
#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

/// Size and digest of a file as it is now. Errors: those of reading it.
Result<InputFile> describe_input(FileSystem& fs, const std::string& path, bool evaluation);

/// The digest that workers compare their copy of the model with. Errors: FAILED_PRECONDITION
/// SOURCE_CHANGED, naming the file and what differs; UNAVAILABLE SOURCE_UNREADABLE, naming the
/// file; RESOURCE_EXHAUSTED where this process lacks memory or descriptors.
Result<std::string> check_source(FileSystem& fs, const JobRecord& job);

/// What an error from reading one of the job's sources means for the job, as check_source says it.
Status as_source_error(const JobRecord& job, const std::string& file, const std::string& what,
                       const Status& error);

}  // namespace rotor::coordinator
