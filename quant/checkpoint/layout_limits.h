// What each layout can say and its engines run: one row for a layout and a format (formats.md). The
// plan refuses by it before a job starts, the writers of configs before anything is written, the
// readers what others wrote.
//
// Thread-safety: pure functions.
#pragma once

#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

struct LayoutLimits {
  Layout layout;
  Format format;
  bool a16;
  bool a4;
  int smallest_rotation;  // Hadamard block on a linear's input, a power of two; 0: none can be said
  int largest_rotation;
  /// Every quantized linear is rotated, all in blocks of one size, those with a bias too. Where it
  /// is false, linears may differ, and engines run no bias on a rotated one.
  bool rotates_all;
  /// Loaders refuse every dtype but BF16, and experts.
  bool dense_bf16_only;
  /// Loaders find an ignored linear by its own name alone, so they quantize one that they fuse with
  /// others whatever the list says.
  bool ignores_unfused_only;
  /// Experts that the model stacks are quantized, all of them, and nothing else is.
  bool stacked_experts_alone;
};

/// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for a format or activations that the
/// layout cannot say; the message lists what it can.
Result<const LayoutLimits*> find_limits(Layout layout, Format format, Activations activations);

/// `block` 0: unrotated. Errors: as above, for a block that the row does not take.
Status check_rotation(const LayoutLimits& limits, int block);

}  // namespace rotor
