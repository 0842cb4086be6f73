// Which engines run a checkpoint, how, and where they do not: the rules of engine_rules.h put to
// one checkpoint, with the sizes that tensor parallelism has to divide.
//
// Thread-safety: pure functions. Cost: a few hundred steps for each engine.
#pragma once

#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/engines/served_checkpoint.h"

namespace rotor {

/// What an engine makes of a checkpoint on one target; of several versions or GPUs, the worst.
struct Judgement {
  Verdict verdict = Verdict::kUnknown;
  std::string text;    // "vLLM 0.25 fails: ... (seen: vLLM 0.25.1, H100, 2026-11-28)"
  std::string remedy;  // which option to change; empty where it runs
};
Judgement judge(const ServedCheckpoint& checkpoint, const ServeTarget& target);

/// Errors: INVALID_ARGUMENT, reason NOT_SERVABLE, where the target fails, is wrong or is not known
/// to run; the message has the rule and the option to change.
Status check_target(const ServedCheckpoint& checkpoint, const ServeTarget& target);

/// A line for each thing that an engine does with the checkpoint on some version, GPU and tensor
/// parallelism: "vLLM 0.25, 0.33: runs on Ampere, Hopper, Blackwell, tensor parallelism up to 8".
std::vector<std::string> serving_lines(const ServedCheckpoint& checkpoint);

/// Of a checkpoint with an online rotation, the lines of those that do not run it for that: fails,
/// or wrong. Empty without one.
std::vector<std::string> rotation_warnings(const ServedCheckpoint& checkpoint);

/// Whether some engine loads it without an error and computes something else.
bool loads_wrong(const ServedCheckpoint& checkpoint);

/// The engines that run it on some GPU with tensor parallelism 1.
std::vector<Engine> engines_that_run(const ServedCheckpoint& checkpoint);

}  // namespace rotor
