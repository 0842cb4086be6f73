#include "quant/checkpoint/rotation_groups.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "quant/format/bf16.h"

namespace rotor {
namespace {

double negated(double value) {
  return -value;
}

uint16_t negated(uint16_t bf16) {
  return bf16 ^ 0x8000U;
}

template <typename T>
StoredTensor signs_of(const std::string& name, int block, DType dtype, T entry) {
  StoredTensor tensor{{name, dtype, {block, block}}, {}};
  const auto n = static_cast<unsigned>(block);
  std::vector<T> entries;
  entries.reserve(size_t{n} * n);
  for (unsigned i = 0; i < n; ++i) {
    for (unsigned j = 0; j < n; ++j) {
      entries.push_back(std::popcount(i & j) % 2 == 0 ? entry : negated(entry));
    }
  }
  tensor.bytes.resize(entries.size() * sizeof(T));
  std::memcpy(tensor.bytes.data(), entries.data(), tensor.bytes.size());
  return tensor;
}

}  // namespace

std::vector<RotationGroup> rotation_groups(const QuantizationInfo& info) {
  std::map<int, RotationGroup, std::greater<>> by_block;
  for (const QuantizedModule& module : info.modules) {
    if (module.rotation == 0) {
      continue;
    }
    RotationGroup& group = by_block[module.rotation];
    if (group.targets.empty()) {
      group.block = module.rotation;
      group.name = std::string("v").append(std::to_string(module.rotation));
      group.first_module = module.name;
    }
    group.targets.push_back(module.name);
  }
  std::vector<RotationGroup> groups;
  for (auto& [block, group] : by_block) {
    groups.push_back(std::move(group));
  }
  if (groups.empty()) {
    return groups;
  }
  RotationGroup& main = groups.front();
  main.name = std::string("v");
  main.targets = {"Linear"};
  main.ignore = info.ignored;
  for (const QuantizedModule& module : info.modules) {
    if (module.rotation != main.block) {
      main.ignore.push_back(module.name);
    }
  }
  return groups;
}

StoredTensor rotation_matrix(const StoredRotation& rotation, const std::string& name) {
  if (rotation.storage == RotationStorage::kSylvesterShared) {
    return signs_of(name, rotation.block, DType::kF64, 1.0);
  }
  const double entry = 1.0 / std::sqrt(static_cast<double>(rotation.block));
  return signs_of(name, rotation.block, DType::kBf16, f32_to_bf16(static_cast<float>(entry)));
}

}  // namespace rotor
