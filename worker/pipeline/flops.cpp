#include "worker/pipeline/flops.h"

namespace rotor::worker {

double hessian_flops(int64_t tokens, int64_t width) {
  return static_cast<double>(tokens) * static_cast<double>(width) * static_cast<double>(width + 1);
}

double stage_flops(const Stage& stage, const BatchShape& shape) {
  const auto tokens = static_cast<double>(shape.tokens());
  double flops = 0.0;
  for (const Linear& linear : stage.linears) {
    flops += 2.0 * tokens * static_cast<double>(linear.in_features) *
             static_cast<double>(linear.out_features);
  }
  if (stage.has_experts()) {
    // All experts have the same shapes, and each token goes to so many of them.
    flops *=
        static_cast<double>(stage.routing.per_token) / static_cast<double>(stage.routing.experts);
  }
  if (stage.kind == StageKind::kExpertsIn) {
    flops += 2.0 * tokens * static_cast<double>(stage.routing.experts * stage.in_features);
  }
  if (stage.kind == StageKind::kAttentionIn || stage.kind == StageKind::kLatentKeyValue) {
    // Scores and their product with V, over the causal half.
    flops +=
        tokens * static_cast<double>(shape.seq_len + 1) *
        static_cast<double>(stage.attention.query_features() + stage.attention.output_features());
  }
  if (stage.kind == StageKind::kDeltaIn) {
    // A token's state is scaled, read, added to and read again.
    const DeltaNet& delta = stage.delta;
    flops += 7.0 * tokens * static_cast<double>(delta.value_features() * delta.key_dim);
  }
  return flops;
}

}  // namespace rotor::worker
