// A directory that belongs to one job: a file inside says whose it is, so that nothing is removed
// which the job did not make (faults.md row 35). The file is written first and removed last; a
// crash in between leaves an empty directory, which costs nobody anything.
//
// Thread-safety: plain functions; one job's directory is worked on by one thread at a time. Errors:
// ALREADY_EXISTS, NOT_THIS_JOBS, naming the path; those of the file system.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

/// Its name in the directory.
inline constexpr char kOwnerFile[] = ".rotor-job";

/// Survives a rename, and nobody else's directory has it.
std::string identity_of(const FileStat& stat);

/// What shows that a directory is a job's: its id in the owner file, or the identity that the job
/// has on record.
struct Owner {
  std::string job_id;
  std::string identity;  // empty: none is on record
};

/// Makes it, or writes the owner file where an empty directory is left of a crash.
Status make_owned_directory(FileSystem& fs, const std::string& path, const Owner& owner);
/// Nothing there is no error. What is not the owner's stays untouched, and is an error.
Status remove_owned_directory(FileSystem& fs, const std::string& path, const Owner& owner);
/// Makes it nobody's: what is in it stays.
Status disown_directory(FileSystem& fs, const std::string& path);

}  // namespace rotor::coordinator
