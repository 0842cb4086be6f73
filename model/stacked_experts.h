// Experts of a layer that a checkpoint holds as one tensor (Stage::stack), as the linears that they
// are: each a DecodedTensor that reads its own expert's slice. With E experts, K inputs and N
// outputs of each of an expert's L linears on one input, the stack is one of
//
//   NAME          BF16, F16 or F32 [E, N L, K], or [E, K, N L], inputs first. The outputs of gate
//                 stand before those of up. transformers 5 writes the first of mixtures whose
//                 models were published expert by expert; Qwen3-VL-MoE and Llama 4 are published
//                 in the second. Which one it is tell the shapes of the layer's two stacks
//   NAME          interleaved, [E, K, N L]: of the stack's outputs, linear j of L has those at
//                 i * L + j. What transformers writes of gpt-oss
//   NAME_blocks   interleaved, U8 [E, N L, K/32, 16], two E2M1 codes a byte, the first in the low
//                 nibble, and
//   NAME_scales   U8 [E, N L, K/32], E8M0: MXFP4, as gpt-oss was released; decoded to BF16, which
//                 holds these numbers as they are
//   NAME_bias     BF16, F16 or F32 [E, N L], where the linears have biases
//
// Where the rest of the mixture has other names in such a checkpoint (Mixtral's router), it is read
// by them, and written by the published ones.
//
// Cost: as model/stacked_slices.h says.
#pragma once

#include "model/architecture.h"
#include "model/decoded_tensor.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {

/// The linears of all stacks of the architecture that the checkpoint holds; none of a stage whose
/// linears it holds one by one. Whether a stack is in MXFP4 its names tell, whatever config.json
/// says. Errors, INVALID_ARGUMENT with the tensor's name: MISSING_TENSORS where it holds neither
/// stack nor blocks of an interleaved one, blocks without scales, or no biases; BAD_TENSOR_SHAPE;
/// BAD_TENSOR_DTYPE. ALREADY_QUANTIZED where config.json speaks of MXFP4
/// (StoredForm::kMxfp4Experts) and the architecture has no stack.
Result<DecodedTensors> stacked_expert_tensors(const Architecture& architecture,
                                              const CheckpointReader& checkpoint);

}  // namespace rotor
