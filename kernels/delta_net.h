// A gated delta net on the GPU: the causal convolution, the recurrence over tokens, and the gate of
// gated attention (worker/backend/backend.h has the formulas).
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Errors:
// those of kernels/supported.h and of the launch; UNIMPLEMENTED with UNSUPPORTED_ON_CUDA for keys
// of more than kLargestKeyDim; INVALID_ARGUMENT with BAD_SHAPE. No tokens: nothing is launched.
// Cost: the convolution and the gate one pass over memory. The recurrence goes through a sequence
// token by token, its state in registers: a block has 64 columns of the state of one value head of
// one sequence. No scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kLargestKeyDim = 256;

/// x and out [rows, cols], both F32 or both BF16, not overlapping; weight F32 [cols, taps].
Status causal_convolution(const void* x, DType dtype, int64_t rows, int64_t cols, int64_t seq_len,
                          const float* weight, int64_t taps, void* out, cudaStream_t stream);

/// Tensors as Backend::delta_rule has them; decay and step F32, the others of `dtype`.
struct DeltaProblem {
  int64_t sequences = 0;
  int64_t seq_len = 0;
  int64_t key_heads = 0;
  int64_t value_heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  const float* decay = nullptr;
  const float* step = nullptr;
};
Status delta_rule(const DeltaProblem& problem, const void* mixed, const void* beta,
                  const void* alpha, DType dtype, void* out, cudaStream_t stream);

/// x [rows, cols] *= sigmoid(gate [rows, gate_cols]), both F32 or both BF16; gate_cols is cols
/// or 1.
Status sigmoid_gate(void* x, const void* gate, DType dtype, int64_t rows, int64_t cols,
                    int64_t gate_cols, cudaStream_t stream);

}  // namespace rotor::kernels
