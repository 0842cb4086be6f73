// Writes one safetensors file whose tensors are all known beforehand and arrive in any order, in
// chunks of any size: nothing but the header is held in memory. The file grows under a temporary
// name and gets its own by one rename after fsync, so a reader sees it whole or not at all. The
// bytes depend on specs and data alone.
//
// Thread-safety: write from several threads for ranges that are apart; the rest from one at a time.
// Failure: after a failed write, sync or rename the temporary file stays for resume or remove_all;
// the final name is untouched. Whether every byte was written is the caller's to know: bytes that
// were not read as zero.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "quant/checkpoint/safetensors_plan.h"
#include "quant/io/file.h"

namespace rotor {

class SafetensorsWriter {
 public:
  /// Starts PATH + ".partial" with header and full size (sparse), replacing one that is there.
  /// Errors: those of plan_safetensors and of the file system.
  static Result<std::unique_ptr<SafetensorsWriter>> create(FileSystem& fs, const std::string& path,
                                                           std::vector<TensorSpec> specs);
  /// Goes on with PATH + ".partial" after a restart. Errors: NOT_FOUND; FAILED_PRECONDITION, reason
  /// PARTIAL_FILE_DIFFERS, if its header or size is not that of these specs.
  static Result<std::unique_ptr<SafetensorsWriter>> resume(FileSystem& fs, const std::string& path,
                                                           std::vector<TensorSpec> specs);
  static std::string partial_path(const std::string& path) { return path + ".partial"; }

  /// Null if there is none of that name.
  const SafetensorsEntry* find(const std::string& name) const;
  const std::vector<SafetensorsEntry>& entries() const { return plan_.header.entries; }
  /// Bytes [offset, offset + n) of a tensor. Errors: NOT_FOUND, OUT_OF_RANGE, file system.
  Status write(const std::string& name, int64_t offset, const void* src, size_t n);
  /// Reads back what was written.
  Status read(const std::string& name, int64_t offset, void* dst, size_t n) const;
  /// Makes what was written so far durable (under the temporary name; call sync_dir once as well).
  Status sync();
  /// sync, close, rename, sync of the directory. No other call may follow.
  Status finish();

  const std::string& path() const { return path_; }
  int64_t file_size() const { return plan_.file_size; }

 private:
  SafetensorsWriter() = default;
  static Result<std::unique_ptr<SafetensorsWriter>> prepare(FileSystem& fs, const std::string& path,
                                                            std::vector<TensorSpec> specs);
  Result<int64_t> locate(const std::string& name, int64_t offset, size_t n) const;

  FileSystem* fs_ = nullptr;
  std::string path_;
  SafetensorsPlan plan_;
  std::unordered_map<std::string, size_t> by_name_;
  std::unique_ptr<WritableFile> file_;
  std::unique_ptr<RandomAccessFile> reader_;
};

}  // namespace rotor
