#include "worker/pipeline/manifest.h"

#include <sstream>

namespace rotor::worker {

std::string serialize_manifest(const std::vector<UploadedTensor>& tensors) {
  std::string text;
  for (const UploadedTensor& tensor : tensors) {
    text +=
        tensor.spec.name + '\t' + std::string(dtype_name(tensor.spec.dtype)) + '\t' + tensor.sha256;
    for (const int64_t dimension : tensor.spec.shape) {
      text += '\t' + std::to_string(dimension);
    }
    text += '\n';
  }
  return text;
}

std::vector<UploadedTensor> parse_manifest(const std::string& text) {
  std::vector<UploadedTensor> tensors;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    UploadedTensor tensor;
    std::string dtype;
    std::getline(fields, tensor.spec.name, '\t');
    std::getline(fields, dtype, '\t');
    std::getline(fields, tensor.sha256, '\t');
    tensor.spec.dtype = dtype_from_name(dtype).value_or(DType::kU8);
    for (int64_t dimension = 0; fields >> dimension;) {
      tensor.spec.shape.push_back(dimension);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace rotor::worker
