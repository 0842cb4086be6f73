#include "model/merge_plan.h"

#include <numeric>
#include <utility>

#include "model/wrappers.h"

namespace rotor {
namespace {

Status cannot_merge(const std::string& what) {
  return invalid_argument("a rotation cannot be merged into this model: " + what +
                          ": choose --rotation none, or an online one")
      .with_reason("CANNOT_MERGE_ROTATION");
}

class Planner {
 public:
  Planner(const Architecture& architecture, int block) : architecture_(architecture) {
    plan_.block = block;
  }

  Result<MergePlan> run() {
    const int64_t hidden = architecture_.config.hidden_size;
    if (hidden % plan_.block != 0) {
      return cannot_merge("its hidden size " + std::to_string(hidden) + " is no multiple of " +
                          std::to_string(plan_.block) + "; blocks of " +
                          std::to_string(std::gcd(hidden, int64_t{plan_.block})) + " fit");
    }
    if (architecture_.head_weight.empty()) {
      return cannot_merge("it has no output head that the final norm could be folded into");
    }
    add(architecture_.embedding, {.column_block = plan_.block});
    for (const Layer& layer : architecture_.layers) {
      for (const Stage& stage : layer.stages) {
        ROTOR_RETURN_IF_ERROR(add_stage(layer, stage));
      }
    }
    fold(architecture_.final_norm, merged_architecture(architecture_).head_weight,
         architecture_.head_weight);
    forget(architecture_.final_norm);
    return std::move(plan_);
  }

 private:
  void add(const std::string& name, TensorMerge merge) {
    merge.source = merge.source.empty() ? name : merge.source;
    plan_.tensors[name] = std::move(merge);
  }

  /// A weight that reads norm(x), made from `source`.
  void fold(const Norm& norm, const std::string& weight, const std::string& source) {
    add(weight, {.source = source,
                 .folded = norm.weight,
                 .norm_offset = norm.offset,
                 .column_block = plan_.block});
  }

  void forget(const Norm& norm) {
    if (!norm.empty()) {
      add(norm.weight, {.vector = true, .norm = true, .norm_offset = norm.offset});
    }
  }

  Status add_stage(const Layer& layer, const Stage& stage) {
    if (!stage.post_norm.empty()) {
      return cannot_merge("the norm " + stage.post_norm.weight +
                          " stands between a projection and the residual stream, and its weight "
                          "does not commute with the rotation");
    }
    switch (stage.kind) {
      case StageKind::kLatentIn:
      case StageKind::kLatentQuery:
      case StageKind::kLatentKeyValue:
        return cannot_merge(
            "its latent attention makes values and keys in turn, head by head, of "
            "one matrix (kv_b_proj) behind a norm of its own");
      case StageKind::kSharedOut:
        add_outputs(stage, 0);
        return {};
      case StageKind::kAttentionIn:
        // A gate on the attention's output holds its columns apart.
        values_ = stage.attention.gated ? 1 : value_block(stage.attention, plan_.block);
        add_inputs(stage);
        return add_values(stage);
      case StageKind::kDeltaIn:  // and so does the convolution
        values_ = 1;
        add_inputs(stage);
        return {};
      case StageKind::kMlpIn:
      case StageKind::kExpertsIn:
        add_inputs(stage);
        return {};
      case StageKind::kAttentionOut:
        add_outputs(stage, values_);
        return {};
      case StageKind::kMlpOut:
      case StageKind::kExpertsOut:
        add_outputs(stage, 0);
        return {};
    }
    return internal_error("layer " + std::to_string(layer.index) + ": unknown stage");
  }

  void add_inputs(const Stage& stage) {
    for (const Linear& linear : stage.linears) {
      fold(stage.norm, linear.name + ".weight", linear.name + ".weight");
    }
    for (const Linear& gate : stage.gates) {
      fold(stage.norm, gate.name + ".weight", gate.name + ".weight");
    }
    if (!stage.router.empty()) {
      fold(stage.norm, stage.router + ".weight", stage.router + ".weight");
    }
    forget(stage.norm);
  }

  /// v is the last of q, k, v, or the last rows of the one linear that stands for them.
  Status add_values(const Stage& stage) {
    const Linear& linear = stage.linears.back();
    const int64_t first_row = linear.out_features - stage.attention.key_features();
    if (first_row < 0) {
      return cannot_merge("its values have more features than " + linear.name);
    }
    if (values_ < 2) {
      return {};
    }
    TensorMerge& weight = plan_.tensors[linear.name + ".weight"];
    weight.row_block = values_;
    weight.first_row = first_row;
    if (linear.has_bias) {
      add(linear.name + ".bias", {.vector = true, .row_block = values_, .first_row = first_row});
    }
    return {};
  }

  void add_outputs(const Stage& stage, int64_t column_block) {
    for (const Linear& linear : stage.linears) {
      add(linear.name + ".weight",
          {.column_block = column_block < 2 ? 0 : column_block, .row_block = plan_.block});
      if (linear.has_bias) {
        add(linear.name + ".bias", {.vector = true, .row_block = plan_.block});
      }
    }
  }

  const Architecture& architecture_;
  MergePlan plan_;
  int64_t values_ = 0;  // block of the layer's values
};

}  // namespace

const TensorMerge* MergePlan::find(const std::string& name) const {
  const auto at = tensors.find(name);
  return at == tensors.end() ? nullptr : &at->second;
}

int64_t value_block(const Attention& attention, int block) {
  // Of powers of two the greatest common divisor is the largest that divides.
  return std::gcd(attention.head_dim, int64_t{block});
}

Result<MergePlan> plan_merge(const Architecture& architecture, int block) {
  return Planner(architecture, block).run();
}

Result<std::string> merged_config(const Architecture& architecture,
                                  const std::string& config_text) {
  if (!architecture.config.tie_word_embeddings) {
    return config_text;
  }
  return with_boolean(config_text, "tie_word_embeddings", false);
}

Architecture merged_architecture(const Architecture& architecture) {
  Architecture merged = architecture;
  merged.head_weight = architecture.head + ".weight";
  merged.config.tie_word_embeddings = false;
  return merged;
}

}  // namespace rotor
