// A checkpoint as the rules of engines see it, planned or on disk, and which rule holds where.
//
// Thread-safety: plain data, pure functions.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "quant/checkpoint/quantization_info.h"
#include "quant/engines/engine_rules.h"

namespace rotor {

/// What a model has of a kind that GPUs share out among them.
struct Heads {
  /// Of attention, and of delta nets those of keys and of values: each GPU gets as many.
  std::set<int64_t> cut;
  /// Of keys and values: each GPU gets as many, or as many GPUs get the same.
  std::set<int64_t> shared;
};

struct ServedCheckpoint {
  std::string model_type;  // of config.json
  Layout layout = Layout::kCompressedTensors;
  QuantScheme scheme;
  Activations activations = Activations::kA16;
  std::set<int> blocks = {0};  // of online rotations; 0 where a linear has none; never empty
  std::set<Trait> traits;
  /// Input widths of the linears that tensor parallelism cuts along them: o, down, experts' down.
  std::set<int64_t> cut_widths;
  Heads heads;  // empty: not known
};

ServedCheckpoint served_checkpoint(std::string model_type, Layout layout, const QuantScheme& scheme,
                                   Activations activations,
                                   const std::vector<QuantizedModule>& modules, Heads heads);

/// One version (of engine_versions) of an engine on one kind of GPU.
struct EnginePoint {
  Engine engine;
  int version;
  Gpu gpu;
  int tensor_parallel;
};

/// The rule that decides there: of several rotations the one with the worst verdict. Null: none
/// matches.
const EngineRule* find_rule(const ServedCheckpoint& checkpoint, const EnginePoint& point);

/// kUnknown for no rule.
Verdict verdict_of(const EngineRule* rule);
/// Whether a checkpoint of that verdict may be served.
bool serves(Verdict verdict);
/// "fails: it has no fp_quant"; "runs"; "not known to run" for no rule.
std::string describe(const EngineRule* rule);

/// The columns of an input that every GPU has to hold a whole number of: a group, or a rotation.
int64_t parallel_unit(const ServedCheckpoint& checkpoint);
/// The first input width that `tensor_parallel` does not divide into such units; 0: none.
int64_t indivisible_width(const ServedCheckpoint& checkpoint, int tensor_parallel);
/// The first number of heads that so many GPUs cannot share; 0: none.
int64_t indivisible_heads(const ServedCheckpoint& checkpoint, int tensor_parallel);
/// The largest power of two up to 64 that can share out all widths and heads.
int largest_parallel(const ServedCheckpoint& checkpoint);

}  // namespace rotor
