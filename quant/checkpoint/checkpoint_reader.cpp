#include "quant/checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "quant/base/json.h"
#include "quant/base/text.h"
#include "quant/checkpoint/sharding.h"

namespace rotor {
namespace {

using WeightMap = std::unordered_map<std::string, std::string>;

constexpr int64_t kMaxIndexBytes = kMaxSafetensorsHeader;

Status bad_index(const std::string& path, const std::string& key, const std::string& what) {
  return invalid_argument(path + ": key " + printable(key) + ": " + what +
                          "; fetch the index again, or save the model again")
      .with_reason("BAD_INDEX")
      .with_detail("file", path)
      .with_detail("key", printable(key));
}

bool is_shard_name(const std::string& name) {
  constexpr std::string_view kSuffix = ".safetensors";
  return name.size() > kSuffix.size() && name.ends_with(kSuffix) &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Result<WeightMap> read_weight_map(FileSystem& fs, const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const std::string text, read_whole_file(fs, path, kMaxIndexBytes));
  JsonLimits limits;
  limits.max_depth = 4;
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json index, parse_json(text, path, limits));
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) {
    return bad_index(path, "weight_map", "missing, or not an object of file names");
  }
  WeightMap out;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string() || !is_shard_name(file.get_ref<const std::string&>())) {
      return bad_index(path, name,
                       (file.is_string() ? printable(file.get_ref<const std::string&>())
                                         : std::string(file.type_name())) +
                           ", where one file name ending in .safetensors is needed");
    }
    out.emplace(name, file.get<std::string>());
  }
  if (out.empty()) {
    return bad_index(path, "weight_map", "names no tensor");
  }
  return out;
}

Status no_weights(FileSystem& fs, const std::string& directory) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  const auto is_pickle = [](const std::string& name) {
    return name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth");
  };
  const auto pickle = std::find_if(names.begin(), names.end(), is_pickle);
  if (pickle != names.end()) {
    return unimplemented(
               join_path(directory, *pickle) +
               ": PyTorch pickle weights are not read, since loading them runs code; save "
               "the model again as safetensors (transformers: "
               "save_pretrained(DIR, safe_serialization=True))")
        .with_reason("NOT_SAFETENSORS")
        .with_detail("file", join_path(directory, *pickle));
  }
  return not_found(directory + ": neither " + kSingleShardName + " nor " + kIndexName +
                   " in it: is it a model directory?")
      .with_reason("NO_WEIGHTS")
      .with_detail("file", directory);
}

}  // namespace

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::open(FileSystem& fs,
                                                                 const std::string& directory) {
  auto reader = std::unique_ptr<CheckpointReader>(new CheckpointReader);
  reader->directory_ = directory;
  const std::string index_path = join_path(directory, kIndexName);
  const std::string single_path = join_path(directory, kSingleShardName);
  ROTOR_ASSIGN_OR_RETURN(reader->has_index_, path_exists(fs, index_path));
  ROTOR_ASSIGN_OR_RETURN(const bool has_single, path_exists(fs, single_path));
  if (!reader->has_index_) {
    if (!has_single) {
      return no_weights(fs, directory);
    }
    ROTOR_RETURN_IF_ERROR(reader->add_shard(fs, kSingleShardName));
    return reader;
  }
  ROTOR_ASSIGN_OR_RETURN(const WeightMap weight_map, read_weight_map(fs, index_path));
  std::set<std::string> files;
  for (const auto& [name, file] : weight_map) {
    files.insert(file);
  }
  if (has_single && !files.contains(kSingleShardName)) {
    return bad_index(index_path, "weight_map",
                     std::string("does not name ") + kSingleShardName +
                         ", which lies beside it: remove the one that is out of date");
  }
  for (const std::string& file : files) {
    const Status status = reader->add_shard(fs, file);
    if (status.code() == Code::kNotFound) {
      return bad_index(index_path, "weight_map",
                       "names " + printable(file) + ", which is not there");
    }
    ROTOR_RETURN_IF_ERROR(status);
  }
  ROTOR_RETURN_IF_ERROR(reader->check_index(weight_map));
  return reader;
}

Status CheckpointReader::add_shard(FileSystem& fs, const std::string& file_name) {
  ROTOR_ASSIGN_OR_RETURN(auto shard, SafetensorsFile::open(fs, join_path(directory_, file_name)));
  for (size_t i = 0; i < shard->entries().size(); ++i) {
    const TensorSpec& spec = shard->entries()[i].spec;
    const auto [at, inserted] =
        places_.emplace(spec.name, Place{shards_.size(), i, tensors_.size()});
    if (!inserted) {
      return bad_index(shard->path(), spec.name,
                       "the tensor is also in " + shards_[at->second.shard]->path());
    }
    tensors_.push_back(spec);
  }
  shards_.push_back(std::move(shard));
  return {};
}

Status CheckpointReader::check_index(
    const std::unordered_map<std::string, std::string>& weight_map) const {
  const std::string index_path = join_path(directory_, kIndexName);
  for (const TensorSpec& tensor : tensors_) {
    const auto named = weight_map.find(tensor.name);
    const std::string& shard_path = shard_of(tensor.name)->path();
    if (named == weight_map.end()) {
      return bad_index(index_path, tensor.name, "missing, though " + shard_path + " holds it");
    }
    if (join_path(directory_, named->second) != shard_path) {
      return bad_index(index_path, tensor.name,
                       "says " + named->second + ", though " + shard_path + " holds it");
    }
  }
  // Entries of tensors that no shard holds are out of date; whoever needs one misses it by name.
  return {};
}

const TensorSpec* CheckpointReader::find(const std::string& name) const {
  const auto at = places_.find(name);
  return at == places_.end() ? nullptr : &tensors_[at->second.tensor];
}

Status CheckpointReader::read(const std::string& name, int64_t offset, void* dst, size_t n) const {
  const auto at = places_.find(name);
  if (at == places_.end()) {
    return missing_tensor(directory_, name);
  }
  const SafetensorsFile& shard = *shards_[at->second.shard];
  return shard.read(shard.entries()[at->second.entry], offset, dst, n);
}

const SafetensorsFile* CheckpointReader::shard_of(const std::string& name) const {
  const auto at = places_.find(name);
  return at == places_.end() ? nullptr : shards_[at->second.shard].get();
}

Status CheckpointReader::check_unchanged() const {
  for (const auto& shard : shards_) {
    ROTOR_RETURN_IF_ERROR(shard->check_unchanged());
  }
  return {};
}

}  // namespace rotor
