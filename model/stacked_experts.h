// Experts of a layer that a checkpoint holds as one tensor (Stage::stacked), as the linears that
// they are: each a DecodedTensor that reads its own expert's slice. gate and up are interleaved: of
// the stack's outputs, linear j of L has those at i * L + j. With E experts, K inputs and N outputs
// of each linear, the stack is one of
//
//   NAME          BF16, F16 or F32 [E, K, N L], inputs first: what transformers writes
//   NAME_blocks   U8 [E, N L, K/32, 16], two E2M1 codes a byte, the first in the low nibble, and
//   NAME_scales   U8 [E, N L, K/32], E8M0: MXFP4, as gpt-oss was released; decoded to BF16, which
//                 holds these numbers as they are
//   NAME_bias     BF16, F16 or F32 [E, N L], where the linears have biases
//
// Cost: a row of MXFP4 costs L rows of the stack; rows of the other form cost the expert's whole
// slice each time they are read, in bands of 4 MiB of memory.
#pragma once

#include "model/architecture.h"
#include "model/decoded_tensor.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {

/// The linears of all stacks of the architecture that the checkpoint holds; none of a stage whose
/// linears it holds one by one. Whether a stack is in MXFP4 its names tell, whatever config.json
/// says. Errors, INVALID_ARGUMENT with the tensor's name: MISSING_TENSORS where it holds neither,
/// blocks without scales, or no biases; BAD_TENSOR_SHAPE; BAD_TENSOR_DTYPE. ALREADY_QUANTIZED where
/// config.json speaks of MXFP4 (StoredForm::kMxfp4Experts) and the architecture has no stack.
Result<DecodedTensors> stacked_expert_tensors(const Architecture& architecture,
                                              const CheckpointReader& checkpoint);

}  // namespace rotor
