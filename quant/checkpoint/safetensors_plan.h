// Where each tensor of a safetensors file to be written goes.
//
// Thread-safety: a free function. Cost: sorts the specs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/safetensors_header.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

struct SafetensorsPlan {
  std::string header_bytes;  // the first bytes of the file, the 8 of the length included
  SafetensorsHeader header;
  int64_t file_size = 0;
};

/// Lays tensors out without gaps (descending element size, then name) behind a header padded with
/// spaces to a multiple of 8, so that every tensor is aligned to its elements; the same specs in
/// any order give the same bytes. Metadata is {"format": "pt"}. Errors, INVALID_ARGUMENT: a name
/// twice or
/// "__metadata__", a name that is not UTF-8, a size that overflows, a header over the limit.
Result<SafetensorsPlan> plan_safetensors(std::vector<TensorSpec> specs);

}  // namespace rotor
