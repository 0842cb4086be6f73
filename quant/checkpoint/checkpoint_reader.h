// A model directory as one set of tensors: model.safetensors, or the shards that
// model.safetensors.index.json names.
//
// Thread-safety: const members from any thread. Cost: one descriptor a shard and the entries.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "quant/checkpoint/safetensors_reader.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/io/file.h"

namespace rotor {

class CheckpointReader final : public TensorSource {
 public:
  /// Opens every shard. Errors, INVALID_ARGUMENT with file and key: an index value that is not one
  /// path component ending in .safetensors, a shard that is missing, a tensor that the index maps
  /// to a shard without it, that a shard holds without the index knowing, or that two shards hold;
  /// both a model.safetensors and an index; PyTorch .bin files alone (UNIMPLEMENTED, with the way
  /// to convert).
  static Result<std::unique_ptr<CheckpointReader>> open(FileSystem& fs,
                                                        const std::string& directory);

  const TensorSpec* find(const std::string& name) const override;
  Status read(const std::string& name, int64_t offset, void* dst, size_t n) const override;

  /// All tensors: shard by shard in order of file names, in file order within.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  /// In order of file names.
  const std::vector<std::unique_ptr<SafetensorsFile>>& shards() const { return shards_; }
  /// The shard that holds a tensor; null if there is none of that name.
  const SafetensorsFile* shard_of(const std::string& name) const;
  const std::string& directory() const { return directory_; }
  bool has_index() const { return has_index_; }
  /// Whether every shard is still the file that was opened (faults.md row 23).
  Status check_unchanged() const;

 private:
  struct Place {
    size_t shard = 0;
    size_t entry = 0;
    size_t tensor = 0;  // in tensors_
  };
  CheckpointReader() = default;
  Status add_shard(FileSystem& fs, const std::string& file_name);
  Status check_index(const std::unordered_map<std::string, std::string>& weight_map) const;

  std::string directory_;
  bool has_index_ = false;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::vector<TensorSpec> tensors_;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace rotor
