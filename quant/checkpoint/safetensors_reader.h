// One safetensors file, open for reading: header checked by every rule of formats.md section 4
// before anything else, then tensors read by pread.
//
// Thread-safety: const members from any thread. Cost: one descriptor and the entries.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "quant/checkpoint/safetensors_header.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/io/file.h"

namespace rotor {

class SafetensorsFile {
 public:
  /// Errors: INVALID_ARGUMENT, reason BAD_SAFETENSORS, naming file, tensor and key; those of
  /// opening.
  static Result<std::unique_ptr<SafetensorsFile>> open(FileSystem& fs, const std::string& path);

  /// In file order.
  const std::vector<SafetensorsEntry>& entries() const { return header_.entries; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// Null if there is none of that name.
  const SafetensorsEntry* find(const std::string& name) const;
  /// Bytes [offset, offset + n) of a tensor of this file. Errors: OUT_OF_RANGE;
  /// FAILED_PRECONDITION, reason SOURCE_CHANGED, if the file was truncated or rewritten since it
  /// was opened.
  Status read(const SafetensorsEntry& entry, int64_t offset, void* dst, size_t n) const;
  /// Whether the path still names the file that was opened, with its size and time. Error as above.
  Status check_unchanged() const;

  /// sha256 over the length field and the header, hex.
  const std::string& header_digest() const { return header_digest_; }
  const std::string& path() const { return file_->path(); }
  int64_t file_size() const { return stat_.size; }

 private:
  SafetensorsFile() = default;
  Status changed(const std::string& what) const;

  FileSystem* fs_ = nullptr;
  std::unique_ptr<RandomAccessFile> file_;
  FileStat stat_;
  SafetensorsHeader header_;
  std::unordered_map<std::string, size_t> by_name_;
  std::string header_digest_;
};

}  // namespace rotor
