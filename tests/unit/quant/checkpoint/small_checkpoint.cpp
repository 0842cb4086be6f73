#include "tests/unit/quant/checkpoint/small_checkpoint.h"

#include <cstring>
#include <map>
#include <memory>
#include <random>

#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "quant/io/file.h"

namespace rotor::testing {

const char* const kSmallConfig = R"({
  "architectures": ["LlamaForCausalLM"],
  "hidden_size": 256,
  "rms_norm_eps": 1e-05,
  "a_last_key": {"z": 1, "b": [1.5, null]},
  "torch_dtype": "bfloat16"
})";

SmallCheckpointOptions small_fp_quant(Format format) {
  return {.format = format,
          .activations = Activations::kA4,
          .rotation = 32,
          .down_rotation = 32,
          .layout = Layout::kFpQuant};
}

SmallCheckpointOptions small_modelopt(Activations activations) {
  return {
      .activations = activations, .rotation = 0, .down_rotation = 0, .layout = Layout::kModelOpt};
}

QuantizationInfo small_info(const SmallCheckpointOptions& options) {
  QuantizationInfo info;
  info.scheme = *make_scheme(options.format, 0, DType::kBf16, options.layout);
  info.activations = options.activations;
  const std::string attention = "model.layers.0.self_attn.";
  const std::string mlp = "model.layers.0.mlp.";
  info.modules = {
      {attention + "q_proj", 256, 256, options.rotation},
      {attention + "k_proj", 128, 256, options.rotation},
      {attention + "v_proj", 128, 256, options.rotation},
      {attention + "o_proj", 256, 256, options.layout == Layout::kFpQuant ? options.rotation : 0},
      {mlp + "gate_proj", 384, 256, options.rotation},
      {mlp + "up_proj", 384, 256, options.rotation},
      {mlp + "down_proj", 256, 384, options.down_rotation}};
  info.ignored = {"lm_head"};
  return info;
}

std::vector<TensorSpec> small_source(const QuantizationInfo& info) {
  std::vector<TensorSpec> specs{{"lm_head.weight", DType::kBf16, {32, 256}},
                                {"model.embed_tokens.weight", DType::kBf16, {32, 256}},
                                {"model.layers.0.input_layernorm.weight", DType::kBf16, {256}},
                                {"model.layers.0.self_attn.o_proj.bias", DType::kBf16, {256}}};
  for (const QuantizedModule& module : info.modules) {
    specs.push_back({module.name + ".weight", DType::kBf16, {module.rows, module.cols}});
  }
  return specs;
}

QuantizedMatrix small_matrix(const QuantizedModule& module, const QuantizationInfo& info) {
  std::seed_seq seed(module.name.begin(), module.name.end());
  std::mt19937 random(seed);
  QuantizedMatrix matrix;
  matrix.scheme = info.scheme;
  matrix.rows = module.rows;
  matrix.cols = module.cols;
  for (int64_t i = 0; i < module.rows * module.cols / 2; ++i) {
    matrix.codes.push_back(static_cast<uint8_t>(random()));
  }
  for (int64_t i = 0; i < module.rows * matrix.groups(); ++i) {
    switch (info.scheme.format) {
      case Format::kNvfp4:
        matrix.scales.push_back(static_cast<uint8_t>(1 + random() % 126));
        break;
      case Format::kMxfp4:
        matrix.scales.push_back(static_cast<uint8_t>(random() % 200));
        break;
      case Format::kInt4:
        matrix.scales.push_back(static_cast<uint8_t>(random()));
        matrix.scales.push_back(static_cast<uint8_t>(0x3b + random() % 4));
        break;
    }
  }
  if (has_global_scale(info.scheme)) {
    const bool fixed = info.scheme.global == GlobalScale::kThree;
    const float input = fixed ? 3.0F : 321.1F;
    matrix.global_scale = fixed ? 3.0F : 12345.678F;
    matrix.input_global_scale = info.activations == Activations::kA4 ? input : 0.0F;
  }
  return matrix;
}

namespace {

std::vector<uint8_t> counting_bytes(const TensorSpec& spec) {
  std::vector<uint8_t> bytes(static_cast<size_t>(spec.byte_size()));
  for (size_t i = 0; i < bytes.size(); ++i) {
    // As BF16 all of them are finite.
    bytes[i] = static_cast<uint8_t>((i * 7 + spec.name.size()) & (i % 2 == 0 ? 0xFF : 0x3F));
  }
  return bytes;
}

}  // namespace

Status write_small_checkpoint(const std::string& directory, const SmallCheckpointOptions& options) {
  FileSystem& fs = posix_file_system();
  const QuantizationInfo info = small_info(options);
  const CheckpointLayout& layout = find_layout(options.layout);
  std::map<std::string, std::vector<uint8_t>> bytes;
  for (const QuantizedModule& module : info.modules) {
    ROTOR_ASSIGN_OR_RETURN(
        auto tensors, layout.encode(module.name, info.activations, small_matrix(module, info)));
    for (StoredTensor& tensor : tensors) {
      bytes[tensor.spec.name] = std::move(tensor.bytes);
    }
  }
  for (RotationTensor& rotation : layout.rotation_tensors(info)) {
    bytes[rotation.tensor.spec.name] = std::move(rotation.tensor.bytes);
  }
  ROTOR_ASSIGN_OR_RETURN(const auto tensors, checkpoint_tensors(layout, info, small_source(info)));
  ROTOR_ASSIGN_OR_RETURN(const auto shards, cut_into_shards(tensors, options.max_shard_bytes));
  for (const Shard& shard : shards) {
    ROTOR_ASSIGN_OR_RETURN(
        const auto writer,
        SafetensorsWriter::create(fs, join_path(directory, shard.file_name), shard.tensors));
    for (const TensorSpec& spec : shard.tensors) {
      const auto at = bytes.find(spec.name);
      const auto data = at == bytes.end() ? counting_bytes(spec) : at->second;
      ROTOR_RETURN_IF_ERROR(writer->write(spec.name, 0, data.data(), data.size()));
    }
    ROTOR_RETURN_IF_ERROR(writer->finish());
  }
  if (shards.size() > 1) {
    ROTOR_RETURN_IF_ERROR(
        write_file_atomically(fs, join_path(directory, kIndexName), index_json(shards)));
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<TextFile> others, layout.other_files(info));
  for (const TextFile& file : others) {
    ROTOR_RETURN_IF_ERROR(write_file_atomically(fs, join_path(directory, file.name), file.text));
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string config, layout.config_json(kSmallConfig, info));
  return write_file_atomically(fs, join_path(directory, "config.json"), config);
}

}  // namespace rotor::testing
