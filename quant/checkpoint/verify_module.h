// One quantized module of a written checkpoint: are its tensors what the scheme needs, are its
// scales usable, and what does it decode to.
//
// Thread-safety: pure functions of the source. Cost: reads the module once, in blocks of rows of at
// most 4 MiB of F32.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "quant/checkpoint/layout.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/checkpoint/verify.h"

namespace rotor {

struct ModuleCheck {
  std::string name;
  VerifiedModule module;  // digest empty: it could not be decoded
  float global_scale = 1.0F;
  float input_global_scale = 0.0F;
  std::vector<VerifyProblem> problems;
};

ModuleCheck verify_module(const CheckpointLayout& layout, const StoredQuantization& quantization,
                          const TensorSource& source, const std::string& name);

/// sha256 of a tensor's bytes, read in pieces of 1 MiB.
Result<std::string> tensor_digest(const TensorSource& source, const TensorSpec& spec);

/// An error as a row of the report; `subject` where it does not name a tensor itself.
VerifyProblem problem_of(const Status& status, const std::string& subject,
                         const std::string& remedy);

inline constexpr const char* kQuantizeAgain = "quantize the model again";

}  // namespace rotor
