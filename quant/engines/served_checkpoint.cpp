#include "quant/engines/served_checkpoint.h"

#include <algorithm>
#include <utility>

namespace rotor {
namespace {

constexpr int kLargestParallel = 64;

std::string_view last_part(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

/// The linears whose input a group of GPUs shares out. Mixtral calls its experts' down w2.
bool is_cut_along_input(std::string_view name) {
  const std::string_view last = last_part(name);
  return last == "o_proj" || last == "down_proj" || last == "w2";
}

OnlineBlock kind_of(int block) {
  if (block == 0) {
    return OnlineBlock::kNone;
  }
  if (block == 16) {
    return OnlineBlock::k16;
  }
  return block >= 32 && block <= 128 ? OnlineBlock::k32To128 : OnlineBlock::kOther;
}

bool matches(const EngineRule& rule, const ServedCheckpoint& checkpoint, const EnginePoint& point,
             int block) {
  return rule.engine == point.engine && has_bit(rule.versions, point.version) &&
         has_bit(rule.layouts, static_cast<int>(checkpoint.layout)) &&
         has_bit(rule.formats, static_cast<int>(checkpoint.scheme.format)) &&
         has_bit(rule.activations, static_cast<int>(checkpoint.activations)) &&
         has_bit(rule.blocks, static_cast<int>(kind_of(block))) &&
         (rule.trait == Trait::kAny || checkpoint.traits.contains(rule.trait)) &&
         has_bit(rule.gpus, static_cast<int>(point.gpu)) &&
         has_bit(rule.parallel, static_cast<int>(point.tensor_parallel > 1 ? ParallelSize::kMore
                                                                           : ParallelSize::kOne));
}

}  // namespace

ServedCheckpoint served_checkpoint(std::string model_type, Layout layout, const QuantScheme& scheme,
                                   Activations activations,
                                   const std::vector<QuantizedModule>& modules, Heads heads) {
  ServedCheckpoint served{.model_type = std::move(model_type),
                          .layout = layout,
                          .scheme = scheme,
                          .activations = activations,
                          .blocks = {},
                          .traits = {},
                          .cut_widths = {},
                          .heads = std::move(heads)};
  if (modules.empty()) {
    served.blocks.insert(0);  // as a checkpoint without a rotation
  }
  for (const QuantizedModule& module : modules) {
    served.blocks.insert(module.rotation);
    const std::string_view last = last_part(module.name);
    if (is_cut_along_input(module.name)) {
      served.cut_widths.insert(module.cols);
    }
    if (last == "qkv_proj" || last == "gate_up_proj") {
      served.traits.insert(Trait::kFusedOnDisk);
    }
    if (module.name.find(".experts.") != std::string::npos) {
      served.traits.insert(Trait::kExperts);
    }
  }
  if (served.model_type == "gpt_oss" && served.traits.contains(Trait::kExperts)) {
    served.traits.insert(Trait::kGptOss);
  }
  if (served.model_type == "olmo2") {
    served.traits.insert(Trait::kRenamed);
  }
  return served;
}

const EngineRule* find_rule(const ServedCheckpoint& checkpoint, const EnginePoint& point) {
  const EngineRule* worst = nullptr;
  for (const int block : checkpoint.blocks) {
    const std::span<const EngineRule> rules = engine_rules();
    const auto found = std::find_if(rules.begin(), rules.end(), [&](const EngineRule& rule) {
      return matches(rule, checkpoint, point, block);
    });
    const EngineRule* rule = found == rules.end() ? nullptr : &*found;
    if (block == *checkpoint.blocks.begin() || verdict_of(rule) > verdict_of(worst)) {
      worst = rule;
    }
  }
  return worst;
}

Verdict verdict_of(const EngineRule* rule) {
  return rule == nullptr ? Verdict::kUnknown : rule->verdict;
}

bool serves(Verdict verdict) {
  return verdict == Verdict::kRuns || verdict == Verdict::kRunsAsW4A4;
}

std::string describe(const EngineRule* rule) {
  if (rule == nullptr) {
    return std::string(to_string(Verdict::kUnknown));
  }
  std::string text(to_string(rule->verdict));
  if (!rule->why.empty()) {
    text += (serves(rule->verdict) ? ", " : ": ") + std::string(rule->why);
  }
  return text;
}

int64_t parallel_unit(const ServedCheckpoint& checkpoint) {
  return std::max<int64_t>(checkpoint.scheme.group_size, *checkpoint.blocks.rbegin());
}

int64_t indivisible_width(const ServedCheckpoint& checkpoint, int tensor_parallel) {
  const int64_t unit = parallel_unit(checkpoint) * tensor_parallel;
  const auto found =
      std::find_if(checkpoint.cut_widths.begin(), checkpoint.cut_widths.end(),
                   [&](int64_t width) { return tensor_parallel > 1 && width % unit != 0; });
  return found == checkpoint.cut_widths.end() ? 0 : *found;
}

int64_t indivisible_heads(const ServedCheckpoint& checkpoint, int tensor_parallel) {
  for (const int64_t heads : checkpoint.heads.cut) {
    if (heads % tensor_parallel != 0) {
      return heads;
    }
  }
  for (const int64_t heads : checkpoint.heads.shared) {
    if (heads % tensor_parallel != 0 && tensor_parallel % heads != 0) {
      return heads;
    }
  }
  return 0;
}

int largest_parallel(const ServedCheckpoint& checkpoint) {
  int parallel = 1;
  while (parallel < kLargestParallel && indivisible_width(checkpoint, parallel * 2) == 0 &&
         indivisible_heads(checkpoint, parallel * 2) == 0) {
    parallel *= 2;
  }
  return parallel;
}

}  // namespace rotor
