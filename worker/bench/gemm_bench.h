// `rotor-bench gemm`: the product of activations with a packed 4-bit weight (kernels/packed_gemm.h)
// beside the same in BF16 through cuBLASLt, and a copy, for the linears of known models.
//
// Thread-safety: main thread, on the current GPU. Errors: those of the kernels and of CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/scheme.h"
#include "worker/bench/kernel_timer.h"

namespace rotor::worker::bench {

/// A linear [rows, cols]: outputs by inputs.
struct LinearShape {
  std::string name;
  int64_t rows;
  int64_t cols;
};

/// Those of a layer of Llama-70B and of Qwen3-32B as engines run them: q, k, v in one, gate and up
/// in one.
std::vector<LinearShape> linear_shapes();

struct GemmBenchOptions {
  std::vector<LinearShape> shapes = linear_shapes();
  std::vector<int64_t> counts{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
  std::vector<Format> formats{Format::kNvfp4, Format::kMxfp4, Format::kInt4};
};

struct GemmTime {
  LinearShape shape;
  Format format;
  int64_t m;
  double weight_bytes;  // packed
  double seconds;
  double bf16_seconds;
};

using GemmBenchResult = KernelTimes<GemmTime>;

Result<GemmBenchResult> run_gemm_bench(const GemmBenchOptions& options);

/// One JSON object.
std::string gemm_bench_json(const GemmBenchResult& result);

}  // namespace rotor::worker::bench
