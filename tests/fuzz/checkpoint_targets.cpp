// The readers of safetensors files and of the index beside them.
#include <algorithm>
#include <array>
#include <string>

#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/safetensors_reader.h"
#include "tests/fuzz/targets.h"
#include "tests/support/memory_file_system.h"

namespace rotor::fuzz {
namespace {

/// A safetensors file of one tensor, [2] in U8.
std::string small_shard(const std::string& tensor) {
  std::string header = "{\"" + tensor + R"(":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string file(1, static_cast<char>(header.size()));
  file.append(7, '\0').append(header).append("\x01\x02");
  return file;
}

}  // namespace

void safetensors(std::string_view input) {
  testing::MemoryFileSystem fs(
      testing::MemoryFileSystem::Files{{"m/model.safetensors", std::string(input)}});
  const auto file = SafetensorsFile::open(fs, "m/model.safetensors");
  if (!file.ok()) {
    check_status(file.status());
    return;
  }
  int64_t covered = 0;
  for (const SafetensorsEntry& entry : (*file)->entries()) {
    check(entry.begin == covered && entry.end >= entry.begin, "a hole or an overlap");
    covered = entry.end;
    check((*file)->find(entry.spec.name) != nullptr, "a tensor that is not found by its name");
    std::string bytes(static_cast<size_t>(entry.end - entry.begin), '\0');
    check((*file)->read(entry, 0, bytes.data(), bytes.size()).ok(), "a tensor that cannot be read");
    char beyond = 0;
    check(!(*file)->read(entry, static_cast<int64_t>(bytes.size()), &beyond, 1).ok(),
          "a byte beyond a tensor was read");
  }
}

void index(std::string_view input) {
  testing::MemoryFileSystem fs(
      testing::MemoryFileSystem::Files{{"m/model.safetensors.index.json", std::string(input)},
                                       {"m/a.safetensors", small_shard("x")},
                                       {"m/b.safetensors", small_shard("y")}});
  const auto reader = CheckpointReader::open(fs, "m");
  if (!reader.ok()) {
    check_status(reader.status());
    return;
  }
  for (const TensorSpec& spec : (*reader)->tensors()) {
    std::array<char, 2> bytes{};
    check((*reader)->read(spec.name, 0, bytes.data(), bytes.size()).ok(), "cannot be read");
    check(bytes[0] == 1 && bytes[1] == 2, "other bytes");
  }
}

}  // namespace rotor::fuzz
