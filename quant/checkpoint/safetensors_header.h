// The header of a safetensors file: 8 bytes little-endian length L, L bytes of JSON, then the data.
//
//   header  = { "__metadata__": {string: string}, name: entry, ... }
//   entry   = { "dtype": string, "shape": [int...], "data_offsets": [begin, end] }
//
// Offsets count from the first data byte; all tensors together cover the data without hole or
// overlap (formats.md section 4). Parsing builds the entries directly, with no JSON tree between,
// so a hostile header costs no more than a small multiple of its own bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

constexpr int64_t kMaxSafetensorsHeader = 100'000'000;

struct SafetensorsEntry {
  TensorSpec spec;
  int64_t begin = 0;  // from the first data byte
  int64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // by begin offset, empty tensors in header order
  std::map<std::string, std::string> metadata;
  int64_t data_offset = 0;  // of the first data byte in the file
};

/// Parses the JSON of a header (without the 8 bytes) of a file of `file_size` bytes. Errors:
/// INVALID_ARGUMENT, reason BAD_SAFETENSORS, naming file, tensor and key, with the value found.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, int64_t file_size,
                                                   const std::string& path);

}  // namespace rotor
