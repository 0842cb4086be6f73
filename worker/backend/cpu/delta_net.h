// A gated delta net on the CPU: the convolution, the recurrence, and the gate of gated attention.
//
// Thread-safety: plain functions on the caller's data. Pieces of work are cut by the shapes alone.
// Cost: the convolution one pass; the recurrence two passes over a head's state for every token,
// and the state, key_dim * value_dim floats, for each piece that runs.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"

namespace rotor::worker::cpu {

/// Backend::causal_convolution on x [rows, cols] with weight [cols, taps].
void causal_convolution(const float* x, int64_t rows, int64_t cols, int64_t seq_len,
                        const float* weight, int64_t taps, float* out, Parallel& parallel);

struct DeltaVectors {
  const float* decay;  // [value_heads]
  const float* step;   // [value_heads]
};

/// Backend::delta_rule.
void delta_rule(const DeltaShape& shape, const float* mixed, const float* beta, const float* alpha,
                const DeltaVectors& vectors, float* out, Parallel& parallel);

/// Backend::sigmoid_gate on x [rows, cols] and gate [rows, gate_cols].
void sigmoid_gate(float* x, int64_t rows, int64_t cols, const float* gate, int64_t gate_cols,
                  Parallel& parallel);

}  // namespace rotor::worker::cpu
