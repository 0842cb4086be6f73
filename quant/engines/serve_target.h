// What a checkpoint is to be served by: `ENGINE[,tp=N][,gpu=ampere|hopper|blackwell]`, as
// `--serve-on` takes it.
//
// Thread-safety: plain data, pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

enum class Engine { kVllm, kSglang, kTensorRtLlm, kTransformers };
enum class Gpu { kAmpere, kHopper, kBlackwell };

inline constexpr Engine kEngines[] = {Engine::kVllm, Engine::kSglang, Engine::kTensorRtLlm,
                                      Engine::kTransformers};
inline constexpr Gpu kGpus[] = {Gpu::kAmpere, Gpu::kHopper, Gpu::kBlackwell};

struct ServeTarget {
  Engine engine = Engine::kVllm;
  int tensor_parallel = 1;
  std::optional<Gpu> gpu = {};  // nothing: any of the three
  bool operator==(const ServeTarget&) const = default;
};

/// Errors: INVALID_ARGUMENT, reason BAD_TARGET, for an engine, key or value that is none, a key
/// given twice, and a tensor parallelism out of 1..1024; the message lists what there is.
Result<ServeTarget> parse_serve_target(std::string_view text);

/// "vllm,tp=2,gpu=hopper": every part that is not the default.
std::string to_string(const ServeTarget& target);

/// "vllm", "sglang", "tensorrt-llm", "transformers"; "ampere", "hopper", "blackwell".
std::string_view to_string(Engine value);
std::string_view to_string(Gpu value);

/// As people write it: "vLLM", "TensorRT-LLM"; "Hopper".
std::string_view title(Engine value);
std::string_view title(Gpu value);

}  // namespace rotor
