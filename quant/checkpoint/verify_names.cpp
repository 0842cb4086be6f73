#include "quant/checkpoint/verify_names.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <initializer_list>
#include <map>
#include <set>
#include <string_view>

#include "quant/checkpoint/layout.h"
#include "quant/checkpoint/linear_names.h"
#include "quant/checkpoint/rotation_groups.h"
#include "quant/checkpoint/wrapped_names.h"

namespace rotor {
namespace {

std::string_view leaf_of(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

std::string parent_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

bool is_rotation_tensor(const CheckpointNames& names, const std::string& tensor) {
  for (const StoredRotation& rotation : names.quantization.rotations) {
    if (tensor.ends_with(rotation.suffix())) {
      return true;
    }
  }
  return false;
}

bool is_linear_weight(const CheckpointNames& names, const TensorSpec& tensor) {
  return !linear_of(tensor).empty() && !is_rotation_tensor(names, tensor.name);
}

// The linears that engines fuse, by the last part of their names.
constexpr std::array<std::array<std::string_view, 3>, 4> kFused{{
    {"q_proj", "k_proj", "v_proj"},
    {"gate_proj", "up_proj", ""},
    {"w1", "w3", ""},
    {"q_a_proj", "kv_a_proj_with_mqa", ""},
}};

/// A linear of an expert: "model.layers.0.mlp.experts" + "." + "12" + "." + "up_proj".
struct ExpertName {
  std::string mixture;  // empty: no expert's
  int64_t expert = 0;
  std::string leaf;
};

ExpertName expert_of(const std::string& module) {
  constexpr std::string_view kMark = ".experts.";
  const size_t mark = module.find(kMark);
  if (mark == std::string::npos) {
    return {};
  }
  const char* begin = module.data() + mark + kMark.size();
  const char* end = module.data() + module.size();
  ExpertName name;
  const auto [stop, error] = std::from_chars(begin, end, name.expert);
  if (error != std::errc() || stop == end || *stop != '.' || name.expert < 0) {
    return {};
  }
  name.leaf = std::string(stop + 1, end);
  name.mixture = module.substr(0, mark + kMark.size() - 1);
  return name;
}

/// What there is of a mixture's experts.
struct Mixture {
  std::string quantized;  // one of the linears that are
  std::set<int64_t> experts;
  NameSet leaves;
};

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

bool is_fused(std::string_view module) {
  return std::any_of(kFused.begin(), kFused.end(), [&](const auto& leaves) {
    return std::find(leaves.begin(), leaves.end(), leaf_of(module)) != leaves.end();
  });
}

void check_pair(const ModuleTable& table, const ModuleCheck& first, const ModuleCheck& other,
                std::vector<VerifyProblem>& problems) {
  const auto differ = [&](const std::string& what) {
    problems.push_back(
        {other.name, what + " differs from that of " + first.name + ", with which engines fuse it",
         kQuantizeAgain});
  };
  if (!same_bits(first.global_scale, other.global_scale)) {
    differ(std::string(leaf_of(table.global_scale)) + " " + std::to_string(other.global_scale));
  }
  if (!same_bits(first.input_global_scale, other.input_global_scale)) {
    differ(std::string(leaf_of(table.input_global_scale)) + " " +
           std::to_string(other.input_global_scale));
  }
  if (first.module.rotation != other.module.rotation) {
    differ("rotation " + std::to_string(other.module.rotation));
  }
}

void check_matrix(const CheckpointNames& names, const StoredRotation& rotation,
                  const TensorSpec& matrix, std::vector<VerifyProblem>& problems) {
  const StoredTensor wanted = rotation_matrix(rotation, matrix.name);
  if (matrix != wanted.spec) {
    problems.push_back(
        {matrix.name, "is " + describe(matrix) + ", where " + describe(wanted.spec) + " is needed",
         kQuantizeAgain});
    return;
  }
  const auto bytes = read_tensor(names.source, matrix.name);
  if (!bytes.ok()) {
    problems.push_back(problem_of(bytes.status(), matrix.name, kQuantizeAgain));
  } else if (*bytes != wanted.bytes) {
    problems.push_back({matrix.name, "is not the Sylvester matrix of its block", kQuantizeAgain});
  }
}

/// Every matrix of the rotation, and that there are as many as its storage asks for.
void check_matrices(const CheckpointNames& names, const StoredRotation& rotation,
                    std::vector<VerifyProblem>& problems) {
  const std::string suffix = rotation.suffix();
  NameSet with_matrix;
  for (const TensorSpec& tensor : names.others) {
    if (!tensor.name.ends_with(suffix)) {
      continue;
    }
    const std::string module = module_with_suffix(tensor.name, suffix);
    if (!names.modules.contains(module) || names.quantization.rotation_of(module) != &rotation) {
      problems.push_back(
          {tensor.name, "is named after a module that is not rotated by it", kQuantizeAgain});
    }
    check_matrix(names, rotation, tensor, problems);
    with_matrix.insert(module);
  }
  if (rotation.storage == RotationStorage::kSylvesterShared) {
    if (with_matrix.size() != 1) {
      problems.push_back(
          {"*" + suffix,
           std::to_string(with_matrix.size()) + " matrices, where the rotation needs one",
           kQuantizeAgain});
    }
    return;
  }
  for (const auto& [name, module] : names.modules) {
    if (names.quantization.rotation_of(name) == &rotation && !with_matrix.contains(name)) {
      problems.push_back({name + suffix, "is missing, and the module is rotated", kQuantizeAgain});
    }
  }
}

}  // namespace

void check_ignore_lists(const CheckpointNames& names, std::vector<VerifyProblem>& problems) {
  const NameSet& ignored = names.quantization.ignored;
  NameSet loaded;  // names that transformers gives them
  for (const TensorSpec& tensor : names.others) {
    loaded.insert(name_in_transformers(parent_of(tensor.name)));
  }
  for (const std::string& name : ignored) {
    if (names.modules.contains(name)) {
      problems.push_back({name, "is in `ignore`, and quantized all the same", kQuantizeAgain});
    } else if (names.source.find(name + ".weight") == nullptr && !loaded.contains(name) &&
               leaf_of(name) != "lm_head") {
      // The head alone may have no weight: it reads the embedding's where they are tied.
      problems.push_back({name, "is in `ignore`, and no tensor belongs to it", kQuantizeAgain});
    } else if (names.limits.ignores_unfused_only && is_fused(name)) {
      problems.push_back({name,
                          "is in `ignore`, and the layout's engines look for it under the name of "
                          "the linear that they fuse it into",
                          "quantize again without it in --ignore, or with --layout "
                          "compressed-tensors"});
    }
  }
  for (const TensorSpec& tensor : names.others) {
    const std::string module = parent_of(tensor.name);
    if (names.modules.contains(module)) {
      if (leaf_of(tensor.name) != "bias" && !is_rotation_tensor(names, tensor.name)) {
        problems.push_back({tensor.name,
                            "is left beside the tensors of the quantized module " + module,
                            "remove it from the shard and the index, or quantize again"});
      }
    } else if (!names.limits.stacked_experts_alone && is_linear_weight(names, tensor) &&
               !ignored.contains(module)) {
      problems.push_back({tensor.name,
                          "is a linear's weight that is neither quantized nor in `ignore`; engines "
                          "would look for its packed codes",
                          "add " + module + " to `ignore` in config.json"});
    }
  }
}

void check_fused(const CheckpointNames& names, std::vector<VerifyProblem>& problems) {
  NameSet parents;
  for (const auto& [name, module] : names.modules) {
    parents.insert(parent_of(name));
  }
  for (const std::string& parent : parents) {
    for (const auto& leaves : kFused) {
      std::vector<const ModuleCheck*> quantized;
      std::vector<std::string> plain;
      for (const std::string_view leaf : leaves) {
        const std::string name = parent + "." + std::string(leaf);
        if (const auto at = names.modules.find(name); at != names.modules.end()) {
          quantized.push_back(&at->second);
        } else if (names.source.find(name + ".weight") != nullptr) {
          plain.push_back(name);
        }
      }
      for (size_t i = 1; i < quantized.size(); ++i) {
        check_pair(names.table, *quantized[0], *quantized[i], problems);
      }
      for (size_t i = 0; i < plain.size() && !quantized.empty(); ++i) {
        problems.push_back({plain[i],
                            "is not quantized, though engines fuse it with " + quantized[0]->name,
                            "quantize again with both or neither in --ignore"});
      }
    }
  }
}

void check_experts(const CheckpointNames& names, std::vector<VerifyProblem>& problems) {
  std::map<std::string, Mixture> mixtures;
  for (const auto& [module, check] : names.modules) {
    const ExpertName name = expert_of(module);
    if (!name.mixture.empty()) {
      Mixture& mixture = mixtures[name.mixture];
      mixture.quantized = module;
      mixture.experts.insert(name.expert);
      mixture.leaves.insert(name.leaf);
    }
  }
  NameSet plain;
  for (const TensorSpec& tensor : names.others) {
    const std::string module = linear_of(tensor);
    const ExpertName name = expert_of(module);
    const auto found = mixtures.find(name.mixture);
    if (found != mixtures.end() && !names.modules.contains(module)) {
      found->second.experts.insert(name.expert);
      plain.insert(module);
      problems.push_back(
          {module,
           "is not quantized, though engines hold it in one weight with " + found->second.quantized,
           "quantize again with all experts of a layer or none in --ignore"});
    }
  }
  for (const auto& [name, mixture] : mixtures) {
    const int64_t last = *mixture.experts.rbegin();
    if (std::ssize(mixture.experts) - 1 != last) {
      problems.push_back({name,
                          "holds " + std::to_string(mixture.experts.size()) +
                              " experts, whose numbers go up to " + std::to_string(last),
                          kQuantizeAgain});
    }
    for (const int64_t expert : mixture.experts) {
      for (const std::string& leaf : mixture.leaves) {
        std::string module = name;
        module.append(".").append(std::to_string(expert)).append(".").append(leaf);
        if (!names.modules.contains(module) && !plain.contains(module)) {
          problems.push_back(
              {module, "is missing, and other experts of the layer have it", kQuantizeAgain});
        }
      }
    }
  }
}

void check_rotations(const CheckpointNames& names, std::vector<VerifyProblem>& problems) {
  for (const StoredRotation& rotation : names.quantization.rotations) {
    check_matrices(names, rotation, problems);
  }
  for (const auto& [name, module] : names.modules) {
    const int block = module.module.rotation;
    if (block == 0) {
      continue;
    }
    if (module.module.cols % block != 0) {
      problems.push_back({name,
                          std::to_string(module.module.cols) +
                              " columns, which the rotation block " + std::to_string(block) +
                              " does not divide",
                          kQuantizeAgain});
    }
    if (!names.limits.rotates_all && names.source.find(name + ".bias") != nullptr) {
      problems.push_back({name, "is rotated and has a bias, which engines do not run",
                          "quantize again; linears with a bias stay unrotated"});
    }
  }
}

}  // namespace rotor
