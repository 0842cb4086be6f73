// The online rotations of a job as compressed-tensors transforms. One transform carries one block
// size; a job whose modules fall to smaller blocks (a width that the block does not divide) gets
// one more for each. The largest block is "v" and targets every linear but those it ignores; each
// other is "v<block>" and targets its modules by name.
//
// Thread-safety: free functions.
#pragma once

#include <string>
#include <vector>

#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

struct RotationGroup {
  std::string name;  // "v", "v16"
  int block = 0;
  std::string first_module;          // in model order; its name is the tensor's
  std::vector<std::string> targets;  // {"Linear"}, or module names in model order
  std::vector<std::string> ignore;   // in model order, ignored linears first
};

/// By descending block; empty where nothing is rotated.
std::vector<RotationGroup> rotation_groups(const QuantizationInfo& info);

/// The Sylvester matrix [block, block] as rotation.storage says: the sign of entry (i, j) is the
/// parity of the bits that i and j share.
StoredTensor rotation_matrix(const StoredRotation& rotation, const std::string& name);

}  // namespace rotor
