// A model of one shard that gets an output head in another, of zeros.
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/io/file.h"

namespace rotor::testing {

inline void put_other_head(const std::string& model) {
  const auto checkpoint = CheckpointReader::open(posix_file_system(), model).value();
  nlohmann::json index;
  for (const TensorSpec& tensor : checkpoint->tensors()) {
    index["weight_map"][tensor.name] = "model.safetensors";
  }
  index["weight_map"]["lm_head.weight"] = "head.safetensors";
  const TensorSpec& embedding = *checkpoint->find("model.embed_tokens.weight");
  const int64_t bytes = embedding.byte_size();
  const nlohmann::json entry = {{"dtype", dtype_name(embedding.dtype)},
                                {"shape", embedding.shape},
                                {"data_offsets", {0, bytes}}};
  const std::string header = nlohmann::json{{"lm_head.weight", entry}}.dump();
  const uint64_t header_bytes = header.size();
  std::ofstream shard(join_path(model, "head.safetensors"), std::ios::binary);
  shard.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
  shard << header << std::string(static_cast<size_t>(bytes), '\0');
  std::ofstream(join_path(model, "model.safetensors.index.json")) << index;
}

}  // namespace rotor::testing
