// What tells whether a model directory is still the one that a job began with (faults.md rows 22,
// 33 and 34). Content decides: the small files are read whole, of each shard the header and 64
// blocks of 4 KiB spread evenly over its bytes. So a file that was touched or copied is the same,
// and another model's shard is found though its name, size and time were kept. Not found: bytes
// altered between the sampled blocks alone.
//
// Cost: 256 KiB of reads a shard, not a pass over the weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor {

struct FileFingerprint {
  std::string name;     // within the directory
  std::string sha256;   // hex; of the whole file, of a shard its safetensors header
  std::string samples;  // hex, of the sampled blocks; shards only. Empty in records of old programs
  int64_t size = 0;     // bytes
  int64_t mtime_ns = 0;  // shards only, else 0; decides only where samples are missing
  bool operator==(const FileFingerprint&) const = default;
  bool same_content(const FileFingerprint& other) const;
};

/// A plain value; files sorted by name.
struct ModelFingerprint {
  std::vector<FileFingerprint> files;

  /// One line a file: "sha256 [samples] size mtime_ns name". Stable: stored in jobs.
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

/// The same files again, as they are now, and whichever of the small files is there besides.
/// Errors: NOT_FOUND, PERMISSION_DENIED or UNAVAILABLE for one that cannot be read;
/// INVALID_ARGUMENT for a shard that is damaged.
Result<ModelFingerprint> fingerprint_again(FileSystem& fs, const std::string& directory,
                                           const ModelFingerprint& before);

/// The inverse of to_text(). Error: INVALID_ARGUMENT with the line.
Result<ModelFingerprint> parse_fingerprint(const std::string& text);

/// In words, one sentence a file: added, removed, or which of size, header, content and
/// modification time changed, with both values. Empty where every file has the same content.
std::string describe_difference(const ModelFingerprint& before, const ModelFingerprint& now);

}  // namespace rotor
