#include "quant/checkpoint/safetensors_reader.h"

#include <array>
#include <utility>

#include "quant/base/sha256.h"

namespace rotor {
namespace {

Status bad_file(const std::string& path, const std::string& what) {
  return invalid_argument(path + ": " + what +
                          "; the file is damaged or not safetensors: fetch or convert it again")
      .with_reason("BAD_SAFETENSORS")
      .with_detail("file", path);
}

}  // namespace

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(FileSystem& fs,
                                                               const std::string& path) {
  auto file = std::unique_ptr<SafetensorsFile>(new SafetensorsFile);
  file->fs_ = &fs;
  ROTOR_ASSIGN_OR_RETURN(file->file_, fs.open_for_reading(path));
  ROTOR_ASSIGN_OR_RETURN(file->stat_, file->file_->stat());
  const int64_t size = file->stat_.size;
  std::array<unsigned char, 8> field{};
  if (size < static_cast<int64_t>(field.size())) {
    return bad_file(path, std::to_string(size) + " bytes, shorter than the 8 of a header length");
  }
  ROTOR_RETURN_IF_ERROR(file->file_->read(0, field.data(), field.size()));
  uint64_t length = 0;
  for (size_t i = field.size(); i-- > 0;) {
    length = length << 8 | field[i];
  }
  if (length > static_cast<uint64_t>(kMaxSafetensorsHeader)) {
    return bad_file(path, "header length " + std::to_string(length) + ", over " +
                              std::to_string(kMaxSafetensorsHeader));
  }
  if (length > static_cast<uint64_t>(size - 8)) {
    return bad_file(path, "header length " + std::to_string(length) + " in a file of " +
                              std::to_string(size) + " bytes");
  }
  std::string text(length, '\0');
  ROTOR_RETURN_IF_ERROR(file->file_->read(8, text.data(), text.size()));
  ROTOR_ASSIGN_OR_RETURN(file->header_, parse_safetensors_header(text, size, path));

  Sha256 sha;
  sha.update(field.data(), field.size());
  sha.update(text);
  file->header_digest_ = sha.hex();
  file->by_name_.reserve(file->header_.entries.size());
  for (size_t i = 0; i < file->header_.entries.size(); ++i) {
    file->by_name_.emplace(file->header_.entries[i].spec.name, i);
  }
  return file;
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &header_.entries[at->second];
}

Status SafetensorsFile::changed(const std::string& what) const {
  return failed_precondition(path() + ": " + what +
                             " since it was opened; put the original file back and start again")
      .with_reason("SOURCE_CHANGED")
      .with_detail("file", path());
}

Status SafetensorsFile::read(const SafetensorsEntry& entry, int64_t offset, void* dst,
                             size_t n) const {
  ROTOR_RETURN_IF_ERROR(check_range(entry.spec, offset, n));
  const Status status = file_->read(header_.data_offset + entry.begin + offset, dst, n);
  if (!status.ok()) {
    return status.reason() == "FILE_TRUNCATED" ? changed("was truncated") : status;
  }
  // After the read, so that bytes of a rewritten file never pass for those of the first.
  ROTOR_ASSIGN_OR_RETURN(const FileStat now, file_->stat());
  return now == stat_ ? Status() : changed("was rewritten");
}

Status SafetensorsFile::check_unchanged() const {
  const auto now = fs_->stat(path());
  if (!now.ok()) {
    return now.status().code() == Code::kNotFound ? changed("was removed") : now.status();
  }
  return *now == stat_ ? Status() : changed("was replaced");
}

}  // namespace rotor
