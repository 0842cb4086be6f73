// What tells whether a model directory is still the one that a job began with (faults.md row 22).
// Reads the small files whole and of each shard the header alone, so it costs milliseconds, not a
// pass over the weights: a shard whose data was replaced shows by its size or its modification
// time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor {

struct FileFingerprint {
  std::string name;      // within the directory
  std::string sha256;    // hex; of the whole file, of a shard its safetensors header
  int64_t size = 0;      // bytes
  int64_t mtime_ns = 0;  // shards only, else 0: content says it all
  bool operator==(const FileFingerprint&) const = default;
};

/// A plain value; files sorted by name.
struct ModelFingerprint {
  std::vector<FileFingerprint> files;

  /// One line a file: "sha256 size mtime_ns name". Stable: stored in jobs.
  std::string to_text() const;
  /// SHA-256 in hex of to_text().
  std::string digest() const;
  /// The same with every mtime as 0: equal on other hosts that hold a copy.
  std::string portable_digest() const;
};

/// Reads the directory: config.json, model.safetensors.index.json and tokenizer.json (where they
/// exist), and every shard that the checkpoint consists of. Errors: as opening the checkpoint
/// gives.
Result<ModelFingerprint> fingerprint_model(FileSystem& fs, const std::string& directory);

/// The inverse of to_text(). Error: INVALID_ARGUMENT with the line.
Result<ModelFingerprint> parse_fingerprint(const std::string& text);

/// In words, one sentence a file: added, removed, or which of size, content and modification time
/// changed, with both values. Empty where they are equal.
std::string describe_difference(const ModelFingerprint& before, const ModelFingerprint& now);

}  // namespace rotor
