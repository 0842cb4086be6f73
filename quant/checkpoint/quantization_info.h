// What config.json says about a quantized checkpoint: what the job knows when it writes it, and
// what a reader gets back. Plain data, the same for every layout.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "quant/scheme.h"

namespace rotor {

/// Module names; a set, because a mixture's ignore lists hold tens of thousands.
using NameSet = std::set<std::string, std::less<>>;

/// A quantized linear. Its tensors are named after it; its weight was [rows, cols].
struct QuantizedModule {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  int64_t rows = 0;
  int64_t cols = 0;
  int rotation = 0;  // Hadamard block on its inputs, a power of two that divides cols; 0: none
};

/// Experts of a layer that a layout holds as one tensor of each kind: `count` modules from the one
/// numbered `first` on. The rows of `interleaved` of them, an expert's, take turns.
struct ModuleStack {
  std::string name;  // "model.layers.0.mlp.experts.gate_up_proj"
  size_t first = 0;
  int64_t count = 0;
  int64_t interleaved = 1;
  std::optional<DType> bias;  // of the modules' biases; nothing: they have none
};

/// What a job writes.
struct QuantizationInfo {
  QuantScheme scheme;
  Activations activations = Activations::kA16;
  ScaleSearch scale_search = ScaleSearch::kMse;
  bool act_order = true;
  std::vector<QuantizedModule> modules;  // in model order
  std::vector<std::string> ignored;      // linear modules left unquantized, in model order
  std::vector<ModuleStack> stacks;       // for layouts that stack experts
};

/// How files hold the matrix of an online rotation.
enum class RotationStorage {
  kSylvesterShared,  // <module>.<name>_input.weight, F64 entries +1 and -1, for one of the modules
  kNormalizedEach,   // <module>.<name>, BF16 entries +-1/sqrt(block), for every module
};

/// One online transform: which modules' inputs are rotated in blocks of `block` columns.
struct StoredRotation {
  std::string name;  // "v"
  int block = 0;
  NameSet targets = {};  // "Linear" stands for all quantized linears
  NameSet ignore = {};
  RotationStorage storage = RotationStorage::kSylvesterShared;

  /// What follows the module's name in the matrix's: ".v_input.weight".
  std::string suffix() const;
};

/// What a reader finds. A linear is quantized if it is not in `ignored` and its packed tensor is
/// there.
struct StoredQuantization {
  Layout layout = Layout::kCompressedTensors;
  QuantScheme scheme;  // scale_dtype of INT4: config.json's dtype; the stored tensor decides
  Activations activations = Activations::kA16;
  NameSet ignored;
  std::vector<StoredRotation> rotations;

  /// The transform on a quantized module's input; null: it is not rotated.
  const StoredRotation* rotation_of(std::string_view module) const;
};

}  // namespace rotor
