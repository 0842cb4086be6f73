#include "quant/checkpoint/sharding.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "quant/base/text.h"

namespace rotor {
namespace {

std::string five_digits(size_t number) {
  const std::string digits = std::to_string(number);
  return digits.size() >= 5 ? digits : std::string(5 - digits.size(), '0') + digits;
}

}  // namespace

std::string shard_file_name(size_t index, size_t count) {
  if (count == 1) {
    return kSingleShardName;
  }
  return "model-" + five_digits(index + 1) + "-of-" + five_digits(count) + ".safetensors";
}

Result<std::vector<Shard>> cut_into_shards(const std::vector<TensorSpec>& tensors,
                                           int64_t max_shard_bytes) {
  if (tensors.empty()) {
    return invalid_argument("a checkpoint without tensors").with_reason("NO_TENSORS");
  }
  if (max_shard_bytes < 1) {
    return invalid_argument("--max-shard-size " + std::to_string(max_shard_bytes) +
                            ": give a positive number of bytes, such as 5GB")
        .with_reason("BAD_SHARD_SIZE");
  }
  std::vector<Shard> shards(1);
  std::set<std::string_view> names;
  for (const TensorSpec& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return invalid_argument("tensor " + printable(tensor.name) +
                              ": named twice in the checkpoint")
          .with_reason("DUPLICATE_TENSOR")
          .with_detail("tensor", printable(tensor.name));
    }
    const int64_t bytes = tensor.byte_size();
    if (!shards.back().tensors.empty() && bytes > max_shard_bytes - shards.back().data_bytes) {
      shards.emplace_back();
    }
    shards.back().tensors.push_back(tensor);
    shards.back().data_bytes += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file_name = shard_file_name(i, shards.size());
  }
  return shards;
}

std::string index_json(const std::vector<Shard>& shards) {
  int64_t total = 0;
  nlohmann::json weight_map = nlohmann::json::object();  // sorts its keys
  for (const Shard& shard : shards) {
    total += shard.data_bytes;
    for (const TensorSpec& tensor : shard.tensors) {
      weight_map[tensor.name] = shard.file_name;
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}},
                                {"weight_map", std::move(weight_map)}};
  return index.dump(2) + "\n";
}

}  // namespace rotor
