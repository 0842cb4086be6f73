#include "model/source_files.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace rotor {
namespace {

constexpr std::array<std::string_view, 17> kWeightEndings = {
    ".safetensors", ".safetensors.index.json",
    ".bin",         ".bin.index.json",
    ".pt",          ".pth",
    ".ckpt",        ".gguf",
    ".ggml",        ".h5",
    ".msgpack",     ".msgpack.index.json",
    ".onnx",        ".onnx_data",
    ".tflite",      ".ot",
    ".npz"};

bool holds_weights(std::string_view name) {
  return name.starts_with("consolidated") ||
         std::any_of(kWeightEndings.begin(), kWeightEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

class Lister {
 public:
  Lister(FileSystem& fs, const CheckpointReader& checkpoint)
      : fs_(fs), directory_(checkpoint.directory()) {
    for (const auto& shard : checkpoint.shards()) {
      shards_.push_back(shard->path().substr(shard->path().rfind('/') + 1));
    }
  }

  Result<SourceFiles> run() {
    ROTOR_RETURN_IF_ERROR(add_folder(""));
    std::sort(files_.copied.begin(), files_.copied.end());
    std::sort(files_.left_behind.begin(), files_.left_behind.end());
    return std::move(files_);
  }

 private:
  /// Of the model itself: written anew.
  bool is_replaced(const std::string& path) const {
    return path == "config.json" || path == "model.safetensors.index.json" ||
           std::find(shards_.begin(), shards_.end(), path) != shards_.end();
  }

  Status add_folder(const std::string& folder) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           fs_.list(join_path(directory_, folder)));
    for (const std::string& name : names) {
      const std::string path = folder.empty() ? name : join_path(folder, name);
      if (name.starts_with('.') || is_replaced(path)) {
        continue;
      }
      const std::string whole = join_path(directory_, path);
      ROTOR_ASSIGN_OR_RETURN(const FileStat link, fs_.stat_link(whole));
      if (link.is_directory()) {
        ROTOR_RETURN_IF_ERROR(add_folder(path));
        continue;
      }
      ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(whole));
      if (stat.is_regular()) {
        (holds_weights(name) ? files_.left_behind : files_.copied).push_back(path);
      }
    }
    return {};
  }

  FileSystem& fs_;
  const std::string directory_;
  std::vector<std::string> shards_;  // file names
  SourceFiles files_;
};

}  // namespace

Result<SourceFiles> list_source_files(FileSystem& fs, const CheckpointReader& checkpoint) {
  return Lister(fs, checkpoint).run();
}

}  // namespace rotor
