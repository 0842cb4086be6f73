// Weights in FP8 with a scale for each block of the matrix, as DeepSeek-V3 is published:
//
//   X.weight            F8_E4M3 [N, K]
//   X.weight_scale_inv  F32 [ceil(N / rows), ceil(K / cols)]   (BF16 and F16 are read, too)
//   w[n, k] = bf16(weight[n, k] * weight_scale_inv[n / rows, k / cols])   the product in F32
//
// which is what the model's own code makes of them before it computes in BF16 (DeepSeek-V3,
// inference/kernel.py, weight_dequant). The name notwithstanding, the scale is a factor.
//
// Thread-safety: pure functions.
#pragma once

#include "model/decoded_tensor.h"
#include "model/stored_form.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {

/// Every F8_E4M3 matrix of the checkpoint, as a BF16 one. Errors: INVALID_ARGUMENT, naming file and
/// tensor: reason MISSING_SCALES for weights without scales and scales without weights,
/// BAD_TENSOR_SHAPE for scales that are not one a block, BAD_TENSOR_DTYPE for what is not as above.
Result<DecodedTensors> fp8_block_tensors(const CheckpointReader& checkpoint,
                                         const SourceQuantization& quantization);

}  // namespace rotor
