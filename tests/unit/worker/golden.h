// Reference results of the transformers library, and the models they belong to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rotor::worker::testing {

/// F32 tensors of a safetensors file, and its `input_ids`. Fails the test where it cannot be read.
struct Golden {
  std::vector<int32_t> input_ids;
  std::vector<std::vector<float>> hidden;  // hidden.0, hidden.1, ...
  std::vector<float> logits;
};
Golden read_golden(const std::string& path);

/// |a - b| / |b| in the Euclidean norm; infinity where a holds what is not a number.
double relative_distance(const std::vector<float>& a, const std::vector<float>& b);

/// The reference data that is too large for the repository; empty where ROTOR_DATA_DIR is not set.
std::optional<std::string> data_dir();

}  // namespace rotor::worker::testing
