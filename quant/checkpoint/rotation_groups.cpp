#include "quant/checkpoint/rotation_groups.h"

#include <bit>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

namespace rotor {

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

std::string rotation_tensor_name(const std::string& module, const std::string& group) {
  return module + "." + group + "_input.weight";
}

StoredTensor sylvester_tensor(const std::string& name, int block) {
  StoredTensor tensor{{name, DType::kF64, {block, block}}, {}};
  const auto n = static_cast<unsigned>(block);
  std::vector<double> entries;
  entries.reserve(size_t{n} * n);
  for (unsigned i = 0; i < n; ++i) {
    for (unsigned j = 0; j < n; ++j) {
      entries.push_back(std::popcount(i & j) % 2 == 0 ? 1.0 : -1.0);
    }
  }
  tensor.bytes.resize(entries.size() * sizeof(double));
  std::memcpy(tensor.bytes.data(), entries.data(), tensor.bytes.size());
  return tensor;
}

}  // namespace rotor
