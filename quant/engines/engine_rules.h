// What inference engines make of a checkpoint: one table, a row for each rule, with the evidence of
// each. Refusals of `--serve-on`, `rotor verify`, the job's report and docs/engines.md come from
// it.
//
// Thread-safety: constant data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "quant/engines/serve_target.h"
#include "quant/scheme.h"

namespace rotor {

/// From best to worst; what is not known to run is not called ok.
enum class Verdict {
  kRuns,
  kRunsAsW4A4,  // activations are quantized though the checkpoint keeps them
  kUnknown,     // nobody looked
  kFails,       // with an error
  kWrong,       // loads without an error and computes something else
};

enum class Evidence { kSeen, kRead, kReported, kNone };

/// Sets of values, a bit each, in the order of the enums; 0 in a rule stands for all.
using Bits = uint8_t;

/// The online rotation of a linear's input.
enum class OnlineBlock { kNone, k16, k32To128, kOther };
enum class ParallelSize { kOne, kMore };

/// A property of the model that a rule is about.
enum class Trait {
  kAny,
  kFusedOnDisk,  // linears that other families keep apart are one on disk (phi3)
  kExperts,
  kGptOss,   // experts with biases, in names of their own
  kRenamed,  // the engine runs the family under other names than the checkpoint's (olmo2)
};

struct EngineRule {
  Engine engine;
  Bits versions;     // of engine_versions
  Bits layouts;      // of Layout
  Bits formats;      // of Format
  Bits activations;  // of Activations
  Bits blocks;       // of OnlineBlock
  Trait trait;
  Bits gpus;      // of Gpu
  Bits parallel;  // of ParallelSize
  Verdict verdict;
  std::string_view why;     // how it runs, or what goes wrong; may be empty where it runs
  std::string_view remedy;  // which option to change; empty where it runs
  Evidence evidence;
  std::string_view source;  // what was run where and when, or what was read
};

/// In the order in which they are tried: the first that matches holds. What none matches is
/// Verdict::kUnknown.
std::span<const EngineRule> engine_rules();

/// The versions that the rules tell apart, oldest first; a release between two is like the older.
std::span<const std::string_view> engine_versions(Engine engine);

constexpr bool has_bit(Bits bits, int bit) {
  return bits == 0 || ((bits >> bit) & 1) != 0;
}

/// "runs", "runs as W4A4", "not known to run", "fails", "loads and is wrong".
std::string_view to_string(Verdict value);
/// "seen", "read in source", "reported", "none".
std::string_view to_string(Evidence value);

/// The table in Markdown, as docs/engines.md has it.
std::string engine_rules_markdown();

}  // namespace rotor
