// The digests that were recorded: tests/data/digests.json,
// {"algorithm_version": N, "kinds": {KIND: {CASE: SHA-256 in hex}}}.
//
// Thread-safety: one thread. Errors: those of reading and writing the file.
#pragma once

#include <map>
#include <string>

#include "quant/base/status.h"

namespace rotor::worker::digests {

using Digests = std::map<std::string, std::string>;  // by case

struct Record {
  int algorithm_version = 0;
  std::map<std::string, Digests> kinds;
};

std::string record_path();
Result<Record> read_record();

/// Adds what was found on a kind, and writes the file. A record of an older version is begun anew.
/// FAILED_PRECONDITION where the same version has another digest of a case: bytes changed, and the
/// version did not rise.
Status add_to_record(const std::string& kind, const Digests& found);

}  // namespace rotor::worker::digests
