#include "worker/model/dequantized_weight.h"

#include <vector>

#include "quant/format/codes.h"

namespace rotor::worker {

Result<Tensor> dequantized_weight(Backend& backend, const QuantizedMatrix& matrix) {
  const QuantScheme& scheme = matrix.scheme;
  std::vector<float> scales(static_cast<size_t>(matrix.rows * matrix.groups()));
  effective_scales(scheme, matrix.scales.data(), matrix.rows * matrix.groups(), matrix.global_scale,
                   scales.data());
  ROTOR_ASSIGN_OR_RETURN(Tensor effective,
                         backend.allocate(DType::kF32, matrix.rows, matrix.groups()));
  ROTOR_RETURN_IF_ERROR(backend.upload(scales.data(), scales.size() * sizeof(float), effective));
  ROTOR_ASSIGN_OR_RETURN(Tensor codes, backend.allocate(DType::kU8, matrix.rows, matrix.cols / 2));
  ROTOR_RETURN_IF_ERROR(backend.upload(matrix.codes.data(), matrix.codes.size(), codes));
  ROTOR_ASSIGN_OR_RETURN(Tensor weight,
                         backend.allocate(backend.activation_dtype(), matrix.rows, matrix.cols));
  ROTOR_RETURN_IF_ERROR(backend.dequantize(codes, scheme, effective, weight));
  return weight;
}

}  // namespace rotor::worker
