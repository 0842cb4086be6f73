// Reads a written checkpoint back and checks it against the rules of the engines that will load it
// (formats.md); and gives digests of what it decodes to, for comparison with independent readers.
//
// Cost: every byte is read once; memory is a few row blocks, whatever the checkpoint's size.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "quant/base/parallel.h"
#include "quant/base/status.h"
#include "quant/engines/served_checkpoint.h"
#include "quant/io/file.h"
#include "quant/scheme.h"

namespace rotor {

struct VerifyProblem {
  std::string tensor;  // or module, or file
  std::string what;    // what is wrong, with the value found
  std::string remedy;
};

struct VerifiedModule {
  int64_t rows = 0;
  int64_t cols = 0;
  int rotation = 0;    // block; 0: none
  std::string digest;  // sha256 of the dequantized values as stored (rotated), F32 little-endian
};

struct VerifyReport {
  bool quantized = false;  // config.json has a quantization_config
  Layout layout = Layout::kCompressedTensors;
  QuantScheme scheme;
  Activations activations = Activations::kA16;
  std::vector<VerifyProblem> problems;
  std::map<std::string, VerifiedModule> modules;
  ServedCheckpoint served;  // what the rules of engines see of it, where it is quantized
  std::map<std::string, std::string> tensors;  // every other tensor: sha256 of its bytes
  bool ok() const { return problems.empty(); }
};

/// Errors are only those that leave nothing to report on: no such directory, no config.json.
/// Everything else is a problem in the report.
Result<VerifyReport> verify_checkpoint(FileSystem& fs, const std::string& directory,
                                       Parallel& parallel);

}  // namespace rotor
