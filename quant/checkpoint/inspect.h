// What is in a checkpoint directory, original or quantized, from headers and config alone, with the
// error table of the job that wrote it.
//
// Cost: headers are read, data is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/io/file.h"
#include "quant/scheme.h"

namespace rotor {

struct InspectedTensor {
  TensorSpec spec;
  std::string file;    // name in the directory
  std::string module;  // the quantized module that it belongs to; empty: none
};

struct InspectedModule {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  int rotation = 0;
  int64_t bytes = 0;  // of its tensors
  double bits_per_weight = 0.0;
};

/// A row of rotor_report.json.
struct ReportedModule {
  std::string name;
  std::string method;
  double relative_error = 0.0;
  double rtn_relative_error = 0.0;
  double damping = 0.0;
  int rotation = 0;
  int64_t tokens = 0;
  std::vector<std::string> fallbacks;  // "KIND: detail"
};

struct InspectReport {
  bool quantized = false;
  Layout layout = Layout::kCompressedTensors;
  QuantScheme scheme;
  Activations activations = Activations::kA16;
  std::vector<std::string> ignored;
  int64_t shards = 0;
  int64_t data_bytes = 0;                // of all tensors
  int64_t module_bytes = 0;              // of the quantized modules' tensors
  int64_t module_source_bytes = 0;       // what their weights took with 2 bytes an element
  std::vector<InspectedTensor> tensors;  // in file order
  std::vector<InspectedModule> modules;  // in file order
  std::vector<ReportedModule> report;    // empty where there is no rotor_report.json
};

inline constexpr const char* kReportName = "rotor_report.json";

/// Errors: those of opening the checkpoint and of reading config.json; INVALID_ARGUMENT, reason
/// BAD_REPORT, for a rotor_report.json that is there and cannot be read.
Result<InspectReport> inspect_checkpoint(FileSystem& fs, const std::string& directory);

}  // namespace rotor
