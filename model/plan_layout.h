// What a plan must hold to so that its layout can be written and loaded: the checks of make_plan
// that read quant/checkpoint/layout_limits.h.
//
// Thread-safety: pure functions. Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION where not
// said otherwise, with the remedy.
#pragma once

#include "model/plan.h"
#include "quant/checkpoint/layout_limits.h"

namespace rotor {

/// Format, activations, rotation, the model's dtype and its experts against the layout's row.
Result<const LayoutLimits*> check_layout(const Architecture& architecture,
                                         const QuantOptions& options);

/// Whether every layer has experts that a checkpoint may hold as one tensor, interleaved and with
/// biases, as gpt-oss does.
bool stacks_biased_experts(const Architecture& architecture);

/// Engines load the linears of a fuse group as one: either all of them are quantized or none
/// (reason SPLIT_FUSION), and not none where the layout's loaders would not see it.
Status check_fused(const LayoutLimits& limits, const StagePlan& stage);

/// The same for the experts of a layer, all their linears together; and those that a layout holds
/// as one tensor are all quantized.
Status check_experts(const LayoutLimits& limits, const LayerPlan& layer);

/// For a layout that rotates all linears in blocks of `asked`: whether `divides`, the largest
/// power of two up to it that divides the stage's width, is just that.
Status check_block(const LayoutLimits& limits, const StagePlan& stage, int asked, int divides);

}  // namespace rotor
