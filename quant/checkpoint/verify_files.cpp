#include "quant/checkpoint/verify_files.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "quant/base/json.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "quant/checkpoint/verify_module.h"

namespace rotor {
namespace {

void check_total_size(FileSystem& fs, const CheckpointReader& reader,
                      std::vector<VerifyProblem>& problems) {
  const std::string path = join_path(reader.directory(), kIndexName);
  const auto text = read_whole_file(fs, path, kMaxSafetensorsHeader);
  if (!text.ok()) {
    problems.push_back(problem_of(text.status(), kIndexName, kQuantizeAgain));
    return;
  }
  const auto index = parse_json(*text, path);
  int64_t total = 0;
  for (const TensorSpec& tensor : reader.tensors()) {
    total += tensor.byte_size();
  }
  const nlohmann::json::json_pointer pointer("/metadata/total_size");
  if (!index.ok() || !index->contains(pointer) || index->at(pointer) != total) {
    problems.push_back({kIndexName,
                        "metadata.total_size is not the tensors' " + std::to_string(total),
                        "set it to this number"});
  }
}

}  // namespace

void check_files(FileSystem& fs, const CheckpointReader& reader,
                 std::vector<VerifyProblem>& problems) {
  std::set<std::string> known;
  const size_t shards = reader.shards().size();
  for (size_t i = 0; i < shards; ++i) {
    const std::string& path = reader.shards()[i]->path();
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string wanted = shard_file_name(i, shards);
    if (name != wanted) {
      problems.push_back({name,
                          "shard " + std::to_string(i + 1) + " of " + std::to_string(shards) +
                              " is named " + wanted,
                          "rename it, in the index too"});
    }
    known.insert(name);
  }
  if (reader.has_index()) {
    check_total_size(fs, reader, problems);
  }
  const auto names = fs.list(reader.directory());
  if (!names.ok()) {
    problems.push_back(problem_of(names.status(), reader.directory(), kQuantizeAgain));
    return;
  }
  for (const std::string& name : *names) {
    const bool partial = name.ends_with(SafetensorsWriter::partial_path(""));
    if (partial || (name.ends_with(".safetensors") && !known.contains(name))) {
      problems.push_back({name,
                          partial ? "is a shard that was never finished"
                                  : "is a safetensors file outside the checkpoint",
                          "remove it"});
    }
  }
}

}  // namespace rotor
