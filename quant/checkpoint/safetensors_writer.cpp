#include "quant/checkpoint/safetensors_writer.h"

#include <utility>

namespace rotor {

Result<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::prepare(
    FileSystem& fs, const std::string& path, std::vector<TensorSpec> specs) {
  auto writer = std::unique_ptr<SafetensorsWriter>(new SafetensorsWriter);
  writer->fs_ = &fs;
  writer->path_ = path;
  ROTOR_ASSIGN_OR_RETURN(writer->plan_, plan_safetensors(std::move(specs)));
  const auto& entries = writer->plan_.header.entries;
  writer->by_name_.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    writer->by_name_.emplace(entries[i].spec.name, i);
  }
  return writer;
}

Result<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::create(
    FileSystem& fs, const std::string& path, std::vector<TensorSpec> specs) {
  ROTOR_ASSIGN_OR_RETURN(auto writer, prepare(fs, path, std::move(specs)));
  ROTOR_ASSIGN_OR_RETURN(writer->file_,
                         fs.open_for_writing(partial_path(path), OpenMode::kTruncate));
  ROTOR_RETURN_IF_ERROR(writer->file_->append(writer->plan_.header_bytes));
  ROTOR_RETURN_IF_ERROR(writer->file_->truncate(writer->plan_.file_size));
  ROTOR_ASSIGN_OR_RETURN(writer->reader_, writer->file_->reader());
  return writer;
}

Result<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::resume(
    FileSystem& fs, const std::string& path, std::vector<TensorSpec> specs) {
  ROTOR_ASSIGN_OR_RETURN(auto writer, prepare(fs, path, std::move(specs)));
  ROTOR_ASSIGN_OR_RETURN(writer->file_,
                         fs.open_for_writing(partial_path(path), OpenMode::kExisting));
  ROTOR_ASSIGN_OR_RETURN(writer->reader_, writer->file_->reader());
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, writer->reader_->stat());
  bool same = stat.size == writer->plan_.file_size;
  if (same) {
    std::string header(writer->plan_.header_bytes.size(), '\0');
    ROTOR_RETURN_IF_ERROR(writer->reader_->read(0, header.data(), header.size()));
    same = header == writer->plan_.header_bytes;
  }
  if (!same) {
    return failed_precondition(partial_path(path) +
                               ": begun for other tensors than those to be written now; remove it "
                               "to write the shard anew")
        .with_reason("PARTIAL_FILE_DIFFERS")
        .with_detail("file", partial_path(path));
  }
  return writer;
}

const SafetensorsEntry* SafetensorsWriter::find(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &entries()[at->second];
}

Result<int64_t> SafetensorsWriter::locate(const std::string& name, int64_t offset, size_t n) const {
  const SafetensorsEntry* entry = find(name);
  if (entry == nullptr) {
    return missing_tensor(path_, name);
  }
  ROTOR_RETURN_IF_ERROR(check_range(entry->spec, offset, n));
  return plan_.header.data_offset + entry->begin + offset;
}

Status SafetensorsWriter::write(const std::string& name, int64_t offset, const void* src,
                                size_t n) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t at, locate(name, offset, n));
  return file_->write_at(at, src, n);
}

Status SafetensorsWriter::read(const std::string& name, int64_t offset, void* dst, size_t n) const {
  ROTOR_ASSIGN_OR_RETURN(const int64_t at, locate(name, offset, n));
  return reader_->read(at, dst, n);
}

Status SafetensorsWriter::sync() {
  return file_->sync();
}

Status SafetensorsWriter::finish() {
  ROTOR_RETURN_IF_ERROR(file_->sync());
  reader_.reset();
  ROTOR_RETURN_IF_ERROR(file_->close());
  ROTOR_RETURN_IF_ERROR(fs_->rename(partial_path(path_), path_));
  return fs_->sync_dir(parent_directory(path_));
}

}  // namespace rotor
