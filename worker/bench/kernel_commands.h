// The commands of rotor-bench that time single kernels on a GPU: quantize-activations and gemm.
//
// Thread-safety: main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"

namespace rotor::worker::bench {

class KernelCommands {
 public:
  /// Adds them to `app`, which must outlive this.
  explicit KernelCommands(CLI::App& app);

  /// What the command that was parsed measured, as one JSON object. Errors: UNIMPLEMENTED (NO_CUDA)
  /// in a build without CUDA; those of the benchmarks.
  Result<std::string> run() const;

 private:
  Result<std::string> run_quantize() const;
  Result<std::string> run_gemm() const;

  CLI::App* quantize_;
  CLI::App* gemm_;
  std::vector<std::string> formats_{"nvfp4"};
  std::vector<int64_t> counts_;
  std::vector<int64_t> cols_;
  std::vector<int64_t> rotations_;
  std::string scales_ = "tiles";
  std::string search_ = "absmax";
  std::vector<int64_t> shape_;
};

}  // namespace rotor::worker::bench
