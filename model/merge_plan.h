// A rotation merged into the model (`--rotation merged:BLOCK`): what becomes of each tensor, so
// that the model computes what it did while its residual stream and its values are rotated block by
// block, with nothing left to do at run time. So any engine runs it with any tensor parallelism.
//
// x is the residual stream, R the block Hadamard rotation (quant/rotation/hadamard.h), g a norm's
// weight. A root mean square norm commutes with R once g is folded into what follows:
//   embedding E -> E R;  q, k, v, gate, up, router, head W -> W diag(g) R;  g -> 1;
//   o, down W -> R W, b -> R b;  and with R_v over each head's values:
//   v W -> R_v W, b -> R_v b;  o W -> W R_v.
// The down projection's input stays as it is: what makes it is no linear map.
//
// Design goals: one description, read by the workers (worker/model/merged_source.h) and by the
// coordinator (model/merged_tensor.h). Not goals: learned or random rotations.
//
// Thread-safety: plain data, pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/architecture.h"
#include "quant/base/status.h"

namespace rotor {

/// What becomes of one tensor.
struct TensorMerge {
  std::string source = {};   // the tensor it is made from; another one for a head that was tied
  bool vector = false;       // a norm's weight or a bias, which counts as one column
  bool norm = false;         // a norm's weight, folded: all that is left of it is a factor of 1
  std::string folded = {};   // the norm whose weight multiplies the columns; empty: none
  float norm_offset = 0.0F;  // of `folded`, or of the norm itself (Norm::offset)
  int64_t column_block = 0;  // 0: not rotated
  int64_t row_block = 0;     // 0: not rotated
  int64_t first_row = 0;     // rows before this one are not rotated: q and k, fused with v
  /// To be quantized: kept in F32. Any other tensor is rounded to the dtype of its source, as the
  /// checkpoint stores it, before anything is computed with it.
  bool exact = false;
};

struct MergePlan {
  int block = 0;                               // 0: nothing is merged
  std::map<std::string, TensorMerge> tensors;  // by name; the rest stay as they are

  const TensorMerge* find(const std::string& name) const;
};

/// Errors: INVALID_ARGUMENT, reason CANNOT_MERGE_ROTATION, for a hidden size that the block does
/// not divide, and for what a rotation cannot be merged into: a norm behind attention or MLP, whose
/// weight stands between the rotation and the residual stream. Heads that the block does
/// not divide take the largest power of two that does.
Result<MergePlan> plan_merge(const Architecture& architecture, int block);

/// The architecture of the merged model: its head is a tensor of its own.
Architecture merged_architecture(const Architecture& architecture);

/// config.json of the merged model: every key in its order, but for `tie_word_embeddings`. Errors:
/// BAD_JSON where it is no object.
Result<std::string> merged_config(const Architecture& architecture, const std::string& config_text);

/// The block of the values of a head.
int64_t value_block(const Attention& attention, int block);

}  // namespace rotor
