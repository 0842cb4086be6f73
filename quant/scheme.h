// What a weight can be quantized to and how: the vocabulary that the solver, the checkpoint
// layouts, the plan and the command line share.
#pragma once

#include <cstdint>
#include <string_view>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

enum class Format { kNvfp4, kMxfp4, kInt4 };
enum class Method { kRtn, kGptq, kMrGptq };
enum class ScaleSearch { kAbsmax, kMse };
enum class Activations { kA16, kA4 };
enum class Layout { kCompressedTensors, kFpQuant, kModelOpt, kGptOss };

/// What a stored group scale is worth: how it goes together with the global scale that the layout
/// keeps for the whole tensor. The solver searches scales by this, so that what it uses is what the
/// file says.
enum class GlobalScale {
  kDivisor,     // effective = stored / global; NVFP4: 2688 / amax, MXFP4 and INT4: 1
  kMultiplier,  // effective = stored * global; NVFP4 in ModelOpt: amax / 2688
  kThree,       // effective = stored / 3; MXFP4 in FP-Quant
};

/// The numbers of one format, as one layout stores them (algorithm.md section 2).
struct QuantScheme {
  Format format = Format::kNvfp4;
  int64_t group_size = 16;             // columns that share a scale
  DType scale_dtype = DType::kF8E4M3;  // what the bits are: E4M3, U8 (E8M0 exponent), BF16/F16/F32
  GlobalScale global = GlobalScale::kDivisor;
  bool operator==(const QuantScheme&) const = default;
};

/// NVFP4: group 16, E4M3. MXFP4: group 32, E8M0 in U8. INT4: `int4_group` (0: 128) and
/// `model_dtype` scales (BF16, F16 or F32). Error: a group that is not positive and a multiple of
/// 8, or given for another format and not that format's own.
Result<QuantScheme> make_scheme(Format format, int64_t int4_group, DType model_dtype,
                                Layout layout = Layout::kCompressedTensors);

/// Whether weights and, with a4, inputs of this scheme have a global scale in the file.
bool has_global_scale(const QuantScheme& scheme);

/// "nvfp4", "mxfp4", "int4"; "rtn", "gptq", "mr-gptq"; "absmax", "mse"; "a16", "a4";
/// "compressed-tensors", "fp-quant", "modelopt", "gpt-oss": as the command line writes them.
std::string_view to_string(Format value);
std::string_view to_string(Method value);
std::string_view to_string(ScaleSearch value);
std::string_view to_string(Activations value);
std::string_view to_string(Layout value);

}  // namespace rotor
