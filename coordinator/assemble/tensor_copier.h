// Copies the tensors of a checkpoint from where they are: staged layers, the source, or memory.
//
// Thread-safety: one thread. Cost: one descriptor for each shard of the source and one for the
// layer at hand; one piece of 1 MiB (in F64 for what is merged, where one piece holds at least a
// rotation's block of rows).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/assemble/assembler.h"
#include "model/model_files.h"
#include "quant/checkpoint/safetensors_reader.h"
#include "quant/checkpoint/safetensors_writer.h"

namespace rotor::coordinator {

class TensorCopier {
 public:
  TensorCopier(FileSystem& fs, const AssemblyInput& input, const TensorSource& source,
               std::function<bool()> stopped);

  /// Writes the whole tensor. Errors as assemble_checkpoint.
  Status copy(const TensorSpec& spec, SafetensorsWriter* writer);

 private:
  using Reader = std::function<Status(int64_t offset, void* dst, size_t n)>;
  struct Staged {
    size_t layer = 0;  // in input.layers
    std::string sha256;
  };
  Status check_stopped() const;
  /// The digest of what was copied.
  Result<std::string> stream(const TensorSpec& spec, const Reader& read, SafetensorsWriter* writer);
  Status copy_staged(const TensorSpec& spec, const Staged& staged, SafetensorsWriter* writer);
  Status check_digest(const std::string& name, const Staged& staged,
                      const std::string& digest) const;
  /// A tensor that a merged rotation alters and that is not quantized.
  Status copy_merged(const TensorSpec& spec, const TensorMerge& merge, SafetensorsWriter* writer);
  /// Experts of a layer that the layout holds as one tensor.
  Status copy_stacked(const StackedTensor& stacked, SafetensorsWriter* writer);
  Result<std::vector<uint8_t>> read_piece(const std::string& name);
  Status open_layer(size_t layer);

  FileSystem& fs_;
  const AssemblyInput& input_;
  const TensorSource& source_;
  std::function<bool()> stopped_;
  std::unordered_map<std::string, Staged> staged_;
  std::unordered_map<std::string, StackedTensor> stacked_;
  std::unordered_map<std::string, std::vector<uint8_t>> in_memory_;  // rotation matrices
  size_t open_layer_ = SIZE_MAX;
  std::unique_ptr<SafetensorsFile> layer_file_;
  std::vector<uint8_t> piece_;
};

}  // namespace rotor::coordinator
