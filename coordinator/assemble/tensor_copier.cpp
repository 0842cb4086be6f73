#include "coordinator/assemble/tensor_copier.h"

#include <algorithm>
#include <utility>

#include "coordinator/staging/damaged_layer.h"
#include "model/merged_tensor.h"
#include "quant/base/sha256.h"
#include "quant/checkpoint/finite_tensor.h"

namespace rotor::coordinator {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;

}  // namespace

TensorCopier::TensorCopier(FileSystem& fs, const AssemblyInput& input, const TensorSource& source,
                           std::function<bool()> stopped)
    : fs_(fs),
      input_(input),
      source_(source),
      stopped_(std::move(stopped)),
      piece_(static_cast<size_t>(kPiece)) {
  for (size_t i = 0; i < input.layers.size(); ++i) {
    for (const v1::TensorInfo& tensor : input.layers[i].manifest.tensors()) {
      staged_[tensor.name()] = {i, tensor.sha256()};
    }
  }
  for (StackedTensor& tensor : input.prepared->layout->stacked_tensors(input.prepared->info)) {
    std::string name = tensor.spec.name;
    stacked_.emplace(std::move(name), std::move(tensor));
  }
  for (RotationTensor& rotation : input.prepared->layout->rotation_tensors(input.prepared->info)) {
    in_memory_[rotation.tensor.spec.name] = std::move(rotation.tensor.bytes);
  }
}

Status TensorCopier::copy(const TensorSpec& spec, SafetensorsWriter* writer) {
  if (const auto staged = staged_.find(spec.name); staged != staged_.end()) {
    return copy_staged(spec, staged->second, writer);
  }
  if (const auto stacked = stacked_.find(spec.name); stacked != stacked_.end()) {
    return copy_stacked(stacked->second, writer);
  }
  if (const auto memory = in_memory_.find(spec.name); memory != in_memory_.end()) {
    return writer->write(spec.name, 0, memory->second.data(), memory->second.size());
  }
  if (const TensorMerge* merge = input_.prepared->plan.merge.find(spec.name)) {
    return copy_merged(spec, *merge, writer);
  }
  return stream(
             spec,
             [&](int64_t offset, void* dst, size_t n) {
               return source_.read(spec.name, offset, dst, n);
             },
             writer)
      .status();
}

Status TensorCopier::check_stopped() const {
  return stopped_() ? cancelled("the job was stopped while its checkpoint was put together")
                    : Status();
}

Result<std::string> TensorCopier::stream(const TensorSpec& spec, const Reader& read,
                                         SafetensorsWriter* writer) {
  Sha256 digest;
  const int64_t size = spec.byte_size();
  for (int64_t offset = 0; offset < size; offset += kPiece) {
    ROTOR_RETURN_IF_ERROR(check_stopped());
    const auto n = static_cast<size_t>(std::min(kPiece, size - offset));
    ROTOR_RETURN_IF_ERROR(read(offset, piece_.data(), n));
    ROTOR_RETURN_IF_ERROR(check_finite_piece(spec, offset, piece_.data(), n));
    digest.update(piece_.data(), n);
    ROTOR_RETURN_IF_ERROR(writer->write(spec.name, offset, piece_.data(), n));
  }
  return digest.hex();
}

Status TensorCopier::copy_staged(const TensorSpec& spec, const Staged& staged,
                                 SafetensorsWriter* writer) {
  ROTOR_RETURN_IF_ERROR(open_layer(staged.layer));
  const int32_t layer = input_.layers[staged.layer].layer;
  const SafetensorsEntry* const entry = layer_file_->find(spec.name);
  if (entry == nullptr || !(entry->spec == spec)) {
    return damaged_layer(layer, layer_file_->path() + " does not hold " + describe(spec) +
                                    " under the name " + spec.name);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string digest,
                         stream(
                             spec,
                             [&](int64_t offset, void* dst, size_t n) {
                               return damage_unless_passing(
                                   layer, layer_file_->read(*entry, offset, dst, n));
                             },
                             writer));
  return check_digest(spec.name, staged, digest);
}

Status TensorCopier::check_digest(const std::string& name, const Staged& staged,
                                  const std::string& digest) const {
  if (digest == staged.sha256) {
    return {};
  }
  return damaged_layer(input_.layers[staged.layer].layer,
                       "tensor " + name + " in " + layer_file_->path() + " has sha256 " + digest +
                           ", committed was " + staged.sha256);
}

Status TensorCopier::copy_stacked(const StackedTensor& stacked, SafetensorsWriter* writer) {
  return write_stacked(
      stacked, [&](const std::string& name) { return read_piece(name); },
      [&](int64_t offset, std::span<const uint8_t> bytes) {
        return writer->write(stacked.spec.name, offset, bytes.data(), bytes.size());
      });
}

Result<std::vector<uint8_t>> TensorCopier::read_piece(const std::string& name) {
  ROTOR_RETURN_IF_ERROR(check_stopped());
  const auto staged = staged_.find(name);
  if (staged == staged_.end()) {
    return read_tensor(source_, name);
  }
  ROTOR_RETURN_IF_ERROR(open_layer(staged->second.layer));
  const int32_t layer = input_.layers[staged->second.layer].layer;
  const SafetensorsEntry* const entry = layer_file_->find(name);
  if (entry == nullptr) {
    return damaged_layer(layer, layer_file_->path() + " does not hold " + name);
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(entry->spec.byte_size()));
  ROTOR_RETURN_IF_ERROR(
      damage_unless_passing(layer, layer_file_->read(*entry, 0, bytes.data(), bytes.size())));
  Sha256 digest;
  digest.update(bytes.data(), bytes.size());
  ROTOR_RETURN_IF_ERROR(check_digest(name, staged->second, digest.hex()));
  return bytes;
}

Status TensorCopier::copy_merged(const TensorSpec& spec, const TensorMerge& merge,
                                 SafetensorsWriter* writer) {
  ROTOR_ASSIGN_OR_RETURN(const MergedTensor tensor, MergedTensor::open(source_, merge));
  const int64_t blocks = kPiece / (tensor.row_bytes() * tensor.rows_step());
  const int64_t step = std::max<int64_t>(blocks, 1) * tensor.rows_step();
  std::vector<uint8_t> piece(static_cast<size_t>(step * tensor.row_bytes()));
  for (int64_t row = 0; row < tensor.rows(); row += step) {
    ROTOR_RETURN_IF_ERROR(check_stopped());
    const int64_t count = std::min(step, tensor.rows() - row);
    ROTOR_RETURN_IF_ERROR(tensor.read(row, count, piece.data()));
    ROTOR_RETURN_IF_ERROR(check_finite_piece(spec, row * tensor.row_bytes(), piece.data(),
                                             static_cast<size_t>(count * tensor.row_bytes())));
    ROTOR_RETURN_IF_ERROR(writer->write(spec.name, row * tensor.row_bytes(), piece.data(),
                                        static_cast<size_t>(count * tensor.row_bytes())));
  }
  return {};
}

Status TensorCopier::open_layer(size_t layer) {
  if (layer == open_layer_) {
    return {};
  }
  const LayerRecord& record = input_.layers[layer];
  Result<std::unique_ptr<SafetensorsFile>> file =
      SafetensorsFile::open(fs_, join_path(input_.staging, record.file));
  ROTOR_RETURN_IF_ERROR(damage_unless_passing(record.layer, file.status()));
  layer_file_ = std::move(file).value();
  open_layer_ = layer;
  return {};
}

}  // namespace rotor::coordinator
