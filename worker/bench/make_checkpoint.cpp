#include "worker/bench/make_checkpoint.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "model/model_files.h"
#include "model/tokenizer/byte_level.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "quant/format/bf16.h"
#include "worker/bench/random_model.h"
#include "worker/bench/random_values.h"

namespace rotor::worker::bench {
namespace {

constexpr int64_t kChunkBytes = int64_t{32} << 20;
constexpr int64_t kValueBytes = 2;  // BF16
constexpr int kTokens = 256;

std::vector<TensorSpec> specs_of(const Architecture& architecture) {
  std::vector<TensorSpec> specs;
  for (ExpectedTensor& tensor : expected_tensors(architecture)) {
    specs.push_back({std::move(tensor.name), DType::kBf16, std::move(tensor.shape)});
  }
  return specs;
}

struct Chunk {
  const TensorSpec* spec;
  int64_t offset;  // bytes
  int64_t bytes;
};

std::vector<Chunk> chunks_of(const std::vector<TensorSpec>& specs) {
  std::vector<Chunk> chunks;
  for (const TensorSpec& spec : specs) {
    for (int64_t at = 0; at < spec.byte_size(); at += kChunkBytes) {
      chunks.push_back({&spec, at, std::min(kChunkBytes, spec.byte_size() - at)});
    }
  }
  return chunks;
}

Status write_chunk(SafetensorsWriter& writer, const Chunk& chunk, const Filling& filling) {
  std::vector<uint16_t> values(static_cast<size_t>(chunk.bytes / kValueBytes), f32_to_bf16(1.0F));
  if (filling.deviation > 0.0F) {
    SerialParallel serial;
    fill_random(DType::kBf16, filling.seed, chunk.offset / kValueBytes, chunk.bytes / kValueBytes,
                filling.deviation, values.data(), serial);
  }
  return writer.write(chunk.spec->name, chunk.offset, values.data(),
                      static_cast<size_t>(chunk.bytes));
}

Status write_shard(const std::string& path, const Shard& shard,
                   const std::map<std::string, Filling>& fillings, Parallel& parallel) {
  ROTOR_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsWriter> writer,
                         SafetensorsWriter::create(posix_file_system(), path, shard.tensors));
  const std::vector<Chunk> chunks = chunks_of(shard.tensors);
  std::mutex mutex;
  Status first_error;
  parallel.for_each(static_cast<int64_t>(chunks.size()), [&](int64_t i) {
    const Chunk& chunk = chunks[static_cast<size_t>(i)];
    Status status = write_chunk(*writer, chunk, fillings.at(chunk.spec->name));
    const std::lock_guard lock(mutex);
    if (first_error.ok()) {
      first_error = std::move(status);
    }
  });
  ROTOR_RETURN_IF_ERROR(first_error);
  return writer->finish();
}

}  // namespace

std::string byte_tokenizer_json() {
  nlohmann::ordered_json vocabulary = nlohmann::ordered_json::object();
  for (int byte = 0; byte < kTokens; ++byte) {
    const char text = static_cast<char>(byte);
    std::string token;
    append_byte_level({&text, 1}, token);
    vocabulary[token] = byte;
  }
  const nlohmann::ordered_json byte_level = {{"type", "ByteLevel"},
                                             {"add_prefix_space", false},
                                             {"trim_offsets", true},
                                             {"use_regex", false}};
  const nlohmann::ordered_json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", nlohmann::ordered_json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", false},
        {"vocab", vocabulary},
        {"merges", nlohmann::ordered_json::array()}}},
  };
  return tokenizer.dump(2) + "\n";
}

Result<int64_t> make_checkpoint(const CheckpointOptions& options) {
  FileSystem& fs = posix_file_system();
  const std::string config =
      config_json(options.shape, options.layers > 0 ? options.layers : options.shape.layers);
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig parsed, parse_model_config(config, "config.json"));
  ROTOR_ASSIGN_OR_RETURN(const Architecture architecture, describe(parsed));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                         cut_into_shards(specs_of(architecture), options.max_shard_bytes));
  ROTOR_RETURN_IF_ERROR(fs.create_directory(options.directory));

  const std::unique_ptr<Parallel> parallel =
      make_thread_pool(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const std::map<std::string, Filling> filled_with = random_fillings(architecture, options.seed);
  int64_t bytes = 0;
  for (const Shard& shard : shards) {
    ROTOR_RETURN_IF_ERROR(
        write_shard(join_path(options.directory, shard.file_name), shard, filled_with, *parallel));
    bytes += shard.data_bytes;
  }
  const auto write = [&](const char* name, const std::string& text) {
    return write_file_atomically(fs, join_path(options.directory, name), text);
  };
  if (shards.size() > 1) {
    ROTOR_RETURN_IF_ERROR(write(kIndexName, index_json(shards)));
  }
  ROTOR_RETURN_IF_ERROR(write("tokenizer.json", byte_tokenizer_json()));
  ROTOR_RETURN_IF_ERROR(write("config.json", config));
  return bytes;
}

}  // namespace rotor::worker::bench
