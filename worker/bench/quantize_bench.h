// `rotor-bench quantize-activations`: the fused rotation and quantization
// (kernels/rotate_quantize.h) beside the pair of kernels that the calibration's forward pass runs
// one after the other, and a copy.
//
// Thread-safety: main thread, on the current GPU. Errors: those of the kernels and of CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/rotate_quantize.h"
#include "quant/base/status.h"
#include "worker/bench/kernel_timer.h"

namespace rotor::worker::bench {

struct QuantizeBenchOptions {
  std::vector<int64_t> rows{1, 16, 128, 1024, 16384};
  std::vector<int64_t> cols{8192};
  std::vector<int64_t> blocks{128};  // of the rotation; 1: none
  std::vector<Format> formats{Format::kNvfp4, Format::kMxfp4};
  kernels::ScaleOrder order = kernels::ScaleOrder::kTiles;
  ScaleSearch search = ScaleSearch::kAbsmax;
};

struct QuantizeTime {
  int64_t rows;
  int64_t cols;
  int64_t block;
  Format format;
  double bytes;  // of activations, codes and scales
  double seconds;
  double unfused_seconds;
};

using QuantizeBenchResult = KernelTimes<QuantizeTime>;

Result<QuantizeBenchResult> run_quantize_bench(const QuantizeBenchOptions& options);

/// One JSON object.
std::string quantize_bench_json(const QuantizeBenchOptions& options,
                                const QuantizeBenchResult& result);

}  // namespace rotor::worker::bench
