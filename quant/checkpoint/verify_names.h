// The rules that span modules: what the ignore lists say against what the files hold, leftovers,
// what engines fuse, and the rotations' matrices.
//
// Thread-safety: pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "quant/checkpoint/layout_limits.h"
#include "quant/checkpoint/module_tensors.h"
#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/checkpoint/verify_module.h"

namespace rotor {

/// What the checks look at; the tensors are those of `source`.
struct CheckpointNames {
  const StoredQuantization& quantization;
  const LayoutLimits& limits;  // the layout's
  const ModuleTable& table;
  const std::map<std::string, ModuleCheck>& modules;  // quantized, by name
  const std::vector<TensorSpec>& others;              // tensors of no quantized module
  const TensorSource& source;
};

/// A module both ignored and quantized, an ignored name that no tensor has or that the layout's
/// loaders do not find, a linear neither ignored nor quantized, and tensors left beside a quantized
/// module's own.
void check_ignore_lists(const CheckpointNames& names, std::vector<VerifyProblem>& problems);

/// Engines load q, k, v and gate, up as one linear each: all or none quantized, with the same
/// rotation and bit-identical global scales.
void check_fused(const CheckpointNames& names, std::vector<VerifyProblem>& problems);

/// Engines hold each kind of linear of all experts of a layer in one weight: all of them are there,
/// and all quantized where one is.
void check_experts(const CheckpointNames& names, std::vector<VerifyProblem>& problems);

/// Each rotation has its one matrix, named after a module that it rotates, or one for every module,
/// as it is stored; its block divides the width of every module that it rotates, and none of these
/// has a bias where the layout's engines run none.
void check_rotations(const CheckpointNames& names, std::vector<VerifyProblem>& problems);

}  // namespace rotor
