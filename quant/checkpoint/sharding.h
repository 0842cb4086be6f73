// How a checkpoint is cut into files: pure functions of specs and limit, so the coordinator gets
// the same files after every restart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

inline constexpr const char* kSingleShardName = "model.safetensors";
inline constexpr const char* kIndexName = "model.safetensors.index.json";

struct Shard {
  std::string
      file_name;  // "model-00002-of-00005.safetensors", or model.safetensors where it is alone
  std::vector<TensorSpec> tensors;
  int64_t data_bytes = 0;
};

/// Of shard `index` (from 0) of `count`.
std::string shard_file_name(size_t index, size_t count);

/// Fills shards with the tensors in the order given, each up to max_shard_bytes of data (headers do
/// not count); a tensor over the limit gets a shard of its own. Errors: nothing to write, a limit
/// below 1, a name twice.
Result<std::vector<Shard>> cut_into_shards(const std::vector<TensorSpec>& tensors,
                                           int64_t max_shard_bytes);

/// The text of model.safetensors.index.json: total_size (bytes of data) and the weight map sorted
/// by name. Only for more than one shard.
std::string index_json(const std::vector<Shard>& shards);

}  // namespace rotor
