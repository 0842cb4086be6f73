#include "model/source_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

void write(const TemporaryDirectory& directory, const std::string& path) {
  const fs::path whole = fs::path(directory.path()) / path;
  fs::create_directories(whole.parent_path());
  std::ofstream(whole) << path;
}

TEST(SourceFiles, TakesFoldersOverAndLeavesOtherWeightsBehind) {
  const TemporaryDirectory directory;
  for (const char* path :
       {"config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json",
        "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "1_Pooling/config.json",
        ".cache/lock", "pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
        "flax_model.msgpack", "model-q4.gguf", "consolidated.safetensors", "adapter.safetensors",
        "original/consolidated.00.pth", "original/params.json",
        "1/2/3/4/5/6/7/8/9/10/11/12/deep.json"}) {
    write(directory, path);
  }
  fs::create_directory_symlink("..", fs::path(directory.path()) / "loop");
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  std::string shard(8, '\0');
  shard[0] = static_cast<char>(header.size());
  directory.put("model.safetensors", shard + header + "x");
  directory.put("model.safetensors.index.json", R"({"weight_map":{"a":"model.safetensors"}})");
  const auto checkpoint = CheckpointReader::open(posix_file_system(), directory.path());
  ASSERT_OK(checkpoint);
  const auto files = list_source_files(posix_file_system(), **checkpoint);
  ASSERT_OK(files);
  EXPECT_EQ(files->copied, (std::vector<std::string>{
                               "1/2/3/4/5/6/7/8/9/10/11/12/deep.json", "1_Pooling/config.json",
                               "additional_chat_templates/tool_use.jinja", "chat_template.jinja",
                               "original/params.json", "tokenizer.json"}));
  EXPECT_EQ(files->left_behind,
            (std::vector<std::string>{"adapter.safetensors", "consolidated.safetensors",
                                      "flax_model.msgpack", "model-q4.gguf",
                                      "original/consolidated.00.pth", "pytorch_model.bin",
                                      "pytorch_model.bin.index.json", "tf_model.h5"}));
}

}  // namespace
}  // namespace rotor
