// From a quantized matrix in host memory to the weight that the forward pass multiplies with: what
// committed layers and checkpoints run on.
//
// Thread-safety: as the backend. Errors: those of the backend.
#pragma once

#include "quant/quantized_matrix.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// [rows, cols] in the backend's activation dtype, through the backend's own dequantization: the
/// same bits that the solver went on with.
Result<Tensor> dequantized_weight(Backend& backend, const QuantizedMatrix& matrix);

}  // namespace rotor::worker
