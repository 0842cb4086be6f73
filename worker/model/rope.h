// Rotary position embedding: the angles of every position, as tables that Backend::rope reads.
//
// Thread-safety: plain functions. Cost: O(positions * head_dim), once per model.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// cos and sin of position * frequency, F32 [positions, head_dim/2].
struct RopeTables {
  Tensor cos;
  Tensor sin;
};

/// The head_dim/2 angular frequencies, radians a token. Default: theta^(-2i/head_dim) (RoFormer,
/// arXiv 2104.09864, section 3.2.2). Linear: divided by `factor` (position interpolation, arXiv
/// 2306.15595). Llama3: low frequencies divided by `factor`, high ones kept, a linear blend between
/// (transformers, modeling_rope_utils.py, _compute_llama3_parameters). Computed in F64 and rounded
/// to F32, because models are trained and served with F32 frequencies.
std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim);

/// Tables for positions 0 .. positions-1 on the backend. The angle is rounded to F32 before its
/// cosine is taken in F64: transformers and the engines round it there, and far positions feel it.
Result<RopeTables> make_rope_tables(Backend& backend, const RopeConfig& rope, int64_t head_dim,
                                    int64_t positions);

}  // namespace rotor::worker
