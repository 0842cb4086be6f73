#include "quant/engines/engine_rules.h"

#include <array>

namespace rotor {
namespace {

using E = Engine;
using T = Trait;
using V = Verdict;

template <typename Enum, typename... More>
constexpr Bits bits(Enum value, More... more) {
  return static_cast<Bits>((1U << static_cast<unsigned>(value)) |
                           (0U | ... | (1U << static_cast<unsigned>(more))));
}

constexpr std::array<std::string_view, 2> kVllmVersions = {"0.25", "0.33"};
constexpr std::array<std::string_view, 1> kSglangVersions = {"0.5.23"};
constexpr std::array<std::string_view, 1> kTensorRtVersions = {"main of November 2026"};
constexpr std::array<std::string_view, 1> kTransformersVersions = {"5.24"};

constexpr Bits kAll = 0;
constexpr Bits kV25 = bits(0);
constexpr Bits kV33 = bits(1);
constexpr Bits kCt = bits(Layout::kCompressedTensors);
constexpr Bits kFp = bits(Layout::kFpQuant);
constexpr Bits kMo = bits(Layout::kModelOpt);
constexpr Bits kGo = bits(Layout::kGptOss);
constexpr Bits kNv = bits(Format::kNvfp4);
constexpr Bits kMx = bits(Format::kMxfp4);
constexpr Bits kI4 = bits(Format::kInt4);
constexpr Bits kA16 = bits(Activations::kA16);
constexpr Bits kA4 = bits(Activations::kA4);
constexpr Bits kStill = bits(OnlineBlock::kNone);
constexpr Bits k16 = bits(OnlineBlock::k16);
constexpr Bits kTo128 = bits(OnlineBlock::k16, OnlineBlock::k32To128);
constexpr Bits kOnline = bits(OnlineBlock::k16, OnlineBlock::k32To128, OnlineBlock::kOther);
constexpr Bits kAmp = bits(Gpu::kAmpere);
constexpr Bits kHop = bits(Gpu::kHopper);
constexpr Bits kBla = bits(Gpu::kBlackwell);
constexpr Bits kOld = bits(Gpu::kAmpere, Gpu::kHopper);
constexpr Bits kOne = bits(ParallelSize::kOne);
constexpr Bits kMore = bits(ParallelSize::kMore);

constexpr Evidence kSeen = Evidence::kSeen;
constexpr Evidence kRead = Evidence::kRead;
constexpr Evidence kSaid = Evidence::kReported;

// Remedies.
constexpr std::string_view kUnrotate = "choose --rotation none or merged:BLOCK";
constexpr std::string_view kUnrotateOrOneGpu =
    "choose --rotation none or merged:BLOCK, or serve with tp=1";
constexpr std::string_view kOtherLayout = "choose --layout compressed-tensors";
constexpr std::string_view kOtherFormat = "choose --format nvfp4 or int4";
constexpr std::string_view kAsReleased = "choose --format mxfp4 --layout gpt-oss";

// Ways of running.
constexpr std::string_view kKeepsActivations =
    "the GPU has no 4-bit arithmetic: weights are "
    "decoded, activations are kept";

// Ways of failing.
constexpr std::string_view kNoParallelTransform =
    "it raises NotImplementedError for online transforms with tensor parallelism";

// Sources.
constexpr std::string_view kH100 = "vLLM 0.25.1, H100 and H200, 2026-11-28";
constexpr std::string_view kVllmKernels = "choice of kernels in vLLM 0.25.1 and 0.33.0";
constexpr std::string_view kSgl = "compressed_tensors.py of SGLang 0.5.23";
constexpr std::string_view kSglModelOpt = "modelopt_quant.py of SGLang 0.5.23";
constexpr std::string_view kTrt = "quant_config_utils.py of TensorRT-LLM's main, November 2026";
constexpr std::string_view kReleased = "the released gpt-oss models are in this layout";
constexpr std::string_view kInterop = "transformers 5.24 on CPUs, tests/interop, 2026-11-26";

// The order of EngineRule's members.
// clang-format off
constexpr EngineRule kRules[] = {
    // vLLM, compressed-tensors
    {E::kVllm, kV25, kGo, kMx, kA16, kAll, T::kGptOss, kHop, kAll, V::kRuns, "", "", kSeen,
     "vLLM 0.25.1, H200, tensor parallelism 1 and 2, 2026-11-28"},
    {E::kVllm, kAll, kGo, kMx, kA16, kAll, T::kGptOss, kAll, kAll, V::kRuns, "", "", kRead,
     "gpt_oss.py of vLLM 0.25.1: as the released models"},
    {E::kVllm, kV25, kAll, kAll, kAll, kAll, T::kGptOss, kAll, kAll, V::kFails,
     "it has no place for the experts' biases under their names: KeyError", kAsReleased, kSeen,
     "nvfp4 and int4 on vLLM 0.25.1, H200, 2026-11-28"},
    {E::kVllm, kV33, kAll, kAll, kAll, kAll, T::kGptOss, kAll, kAll, V::kWrong,
     "its loader looks for the experts under other names and skips what it does not know", kAsReleased,
     kRead, "gpt_oss.py of vLLM 0.33.0"},
    {E::kVllm, kV25, kCt, kAll, kAll, kOnline, T::kAny, kAll, kMore, V::kFails, kNoParallelTransform,
     kUnrotateOrOneGpu, kSeen, "vLLM 0.25.1, two H200s, 2026-11-28"},
    {E::kVllm, kV33, kCt, kAll, kAll, kOnline, T::kAny, kAll, kMore, V::kFails, kNoParallelTransform,
     kUnrotateOrOneGpu, kRead, "compressed_tensors/transform of vLLM 0.33.0"},
    {E::kVllm, kAll, kCt, kAll, kAll, kOnline, T::kFusedOnDisk, kAll, kAll, V::kFails,
     "it wants a transform for every part of a fused linear, and the file names one: KeyError",
     kUnrotate, kSeen, "phi3 on vLLM 0.25.1, H200, 2026-11-28"},
    {E::kVllm, kV33, kCt, kAll, kAll, kOnline, T::kRenamed, kAll, kAll, V::kWrong,
     "it renames the model's linears, but not in the transform's ignore list", kUnrotate, kSaid,
     "vLLM 0.33, whose registry runs the family through transformers"},
    {E::kVllm, kV25, kCt, kNv, kAll, k16, T::kAny, kAll, kAll, V::kFails,
     "AssertionError while the model is built: blocks of 16 go to a kernel that is not finished",
     "choose --rotation none, 32, 64, 128 or merged:BLOCK", kSeen, kH100},
    {E::kVllm, kV33, kCt, kNv, kA16, kTo128, T::kAny, kBla, kAll, V::kWrong,
     "blocks of 16 to 128 go to W4A4 kernels, for which weight-only linears are not laid out",
     kUnrotate, kRead, "linear_qutlass_nvfp4.py of vLLM 0.33.0"},
    {E::kVllm, kV33, kCt, kNv, kA4, kTo128, T::kAny, kBla, kAll, V::kRuns,
     "QuTLASS quantizes the activations, without input_global_scale", "", kRead,
     "linear_qutlass_nvfp4.py of vLLM 0.33.0"},
    {E::kVllm, kV25, kCt, kNv, kA16, kStill, T::kAny, kHop, kAll, V::kRuns, "", "", kSeen, kH100},
    {E::kVllm, kV25, kCt, kNv, kA16, bits(OnlineBlock::k32To128), T::kAny, kHop, kAll, V::kRuns, "",
     "", kSeen, "vLLM 0.25.1, H100, blocks of 128, 2026-11-28"},
    {E::kVllm, kAll, kCt, kNv, kA16, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    {E::kVllm, kAll, kCt, kNv, kA4, kAll, T::kAny, kOld, kAll, V::kRuns, kKeepsActivations, "",
     kRead, kVllmKernels},
    {E::kVllm, kAll, kCt, kNv, kA4, kAll, T::kAny, kBla, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    {E::kVllm, kAll, kCt, kMx, kA16, kAll, T::kAny, kBla, kAll, V::kRunsAsW4A4,
     "input_activations is not looked at", "", kRead, kVllmKernels},
    {E::kVllm, kV25, kCt, kMx, kA16, bits(OnlineBlock::kNone, OnlineBlock::k32To128), T::kAny, kHop,
     kAll, V::kRuns, "", "", kSeen, "vLLM 0.25.1, H100, none and blocks of 128, 2026-11-28"},
    {E::kVllm, kAll, kCt, kMx, kA16, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    {E::kVllm, kAll, kCt, kMx, kA4, kAll, T::kAny, kOld, kAll, V::kRuns, kKeepsActivations, "",
     kRead, kVllmKernels},
    {E::kVllm, kAll, kCt, kMx, kA4, kAll, T::kAny, kBla, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    {E::kVllm, kV25, kCt, kI4, kA16, kStill, T::kAny, kHop, kAll, V::kRuns, "", "", kSeen, kH100},
    {E::kVllm, kAll, kCt, kI4, kA16, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    // vLLM, the other layouts
    {E::kVllm, kAll, kFp, kAll, kAll, kAll, T::kAny, kOld, kAll, V::kFails,
     "it wants compute capability 10.0", "choose --layout compressed-tensors, or serve on Blackwell",
     kRead, "fp_quant.py of vLLM 0.25.1 and 0.33.0"},
    {E::kVllm, kAll, kFp, kAll, kAll, kAll, T::kAny, kBla, kAll, V::kRuns,
     "with --allow-deprecated-quantization", "", kRead, "fp_quant.py of vLLM 0.25.1 and 0.33.0"},
    {E::kVllm, kV25, kMo, kNv, kA16, kAll, T::kAny, kHop, kAll, V::kRuns, "", "", kSeen, kH100},
    {E::kVllm, kAll, kMo, kNv, kA16, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kRead,
     "modelopt.py of vLLM 0.25.1"},
    {E::kVllm, kAll, kMo, kNv, kA4, kAll, T::kAny, kOld, kAll, V::kRuns, kKeepsActivations, "",
     kRead, kVllmKernels},
    {E::kVllm, kAll, kMo, kNv, kA4, kAll, T::kAny, kBla, kAll, V::kRuns, "", "", kRead,
     kVllmKernels},
    // SGLang
    {E::kSglang, kAll, kGo, kMx, kA16, kAll, T::kGptOss, kAll, kAll, V::kRuns, "", "", kSaid,
     kReleased},
    {E::kSglang, kAll, kAll, kAll, kAll, kAll, T::kGptOss, kAll, kAll, V::kWrong,
     "its loader skips experts that are linears of their own", kAsReleased, kRead,
     "gpt_oss.py of SGLang 0.5.23"},
    {E::kSglang, kAll, kCt, kAll, kAll, kOnline, T::kAny, kAll, kAll, V::kWrong,
     "it reads no transform_config: rotated weights meet inputs that are not", kUnrotate, kRead,
     kSgl},
    {E::kSglang, kAll, kCt, kMx, kAll, kAll, T::kAny, kAll, kAll, V::kFails,
     "it has no MXFP4 for linears outside experts", kOtherFormat, kRead, kSgl},
    {E::kSglang, kAll, kCt, kNv, kA4, kAll, T::kAny, kOld, kAll, V::kRuns, kKeepsActivations, "",
     kRead, kSgl},
    {E::kSglang, kAll, kCt, bits(Format::kNvfp4, Format::kInt4), kAll, kAll, T::kAny, kAll, kAll,
     V::kRuns, "", "", kRead, kSgl},
    {E::kSglang, kAll, kFp, kAll, kAll, kAll, T::kAny, kAll, kAll, V::kFails,
     "it has no fp_quant", kOtherLayout, kRead, "layers/quantization of SGLang 0.5.23"},
    {E::kSglang, kAll, kMo, kNv, kA4, kAll, T::kAny, kOld, kAll, V::kRuns, kKeepsActivations, "",
     kRead, kSglModelOpt},
    {E::kSglang, kAll, kMo, kNv, kAll, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kRead,
     kSglModelOpt},
    // TensorRT-LLM
    {E::kTensorRtLlm, kAll, kGo, kMx, kA16, kAll, T::kGptOss, kAll, kAll, V::kRuns, "", "", kSaid,
     kReleased},
    {E::kTensorRtLlm, kAll, kAll, kAll, kAll, kAll, T::kGptOss, kAll, kAll, V::kUnknown,
     "nobody looked for the names of the experts", kAsReleased, Evidence::kNone, "no source"},
    {E::kTensorRtLlm, kAll, kCt, kAll, kAll, kOnline, T::kAny, kAll, kAll, V::kWrong,
     "it reads no transform_config: rotated weights meet inputs that are not", kUnrotate, kRead,
     kTrt},
    {E::kTensorRtLlm, kAll, kCt, bits(Format::kNvfp4, Format::kInt4), kA16, kAll, T::kAny, kAll,
     kAll, V::kFails, "it asks the config for input activations, and there are none",
     "choose --layout modelopt with --format nvfp4", kRead, kTrt},
    {E::kTensorRtLlm, kAll, kMo, kNv, kA4, kAll, T::kAny, kOld, kAll, V::kFails,
     "NVFP4 with quantized activations needs Blackwell", "choose --activations a16", kSaid,
     "its support matrix"},
    {E::kTensorRtLlm, kAll, kMo, kNv, kAll, kAll, T::kAny, kAll, kAll, V::kRuns, "", "", kSaid,
     "ModelOpt's list of what TensorRT-LLM reads"},
    // transformers
    {E::kTransformers, kAll, kCt, kAll, kAll, kOnline, T::kAny, kAll, kOne, V::kWrong,
     "it reads no transform_config: rotated weights meet inputs that are not", kUnrotate, kSeen,
     kInterop},
    {E::kTransformers, kAll, kGo, kMx, kA16, kAll, T::kGptOss, kAll, kOne, V::kRuns, "", "", kRead,
     "quantizers/quantizer_mxfp4.py of transformers 5.24"},
    {E::kTransformers, kAll, kCt, kAll, kAll, kAll, T::kGptOss, kAll, kOne, V::kWrong,
     "it does not find the experts", kAsReleased, kSeen, kInterop},
    {E::kTransformers, kAll, kCt, kNv, kAll, kAll, T::kExperts, kAll, kOne, V::kWrong,
     "it fills the stacked experts without their global scale", "choose --format mxfp4 or int4",
     kSeen, kInterop},
    {E::kTransformers, kAll, kCt, kAll, kAll, kAll, T::kAny, kAll, kOne, V::kRuns,
     "with the compressed-tensors library", "", kSeen, kInterop},
    {E::kTransformers, kAll, kMo, kAll, kAll, kAll, T::kAny, kAll, kAll, V::kFails,
     "it has no modelopt", kOtherLayout, kRead, "quantizers/auto.py of transformers 5.24"},
};
// clang-format on

}  // namespace

std::span<const EngineRule> engine_rules() {
  return kRules;
}

std::span<const std::string_view> engine_versions(Engine engine) {
  switch (engine) {
    case Engine::kVllm:
      return kVllmVersions;
    case Engine::kSglang:
      return kSglangVersions;
    case Engine::kTensorRtLlm:
      return kTensorRtVersions;
    case Engine::kTransformers:
      return kTransformersVersions;
  }
  return {};
}

}  // namespace rotor
