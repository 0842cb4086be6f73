// Rotary position embedding: the angles of every position, as tables that Backend::rope reads.
//
// Thread-safety: plain functions. Cost: O(positions * head_dim), once per model.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// cos and sin of position * frequency, F32 [positions, rotary/2], where `rotary` columns of a head
/// are rotated.
struct RopeTables {
  Tensor cos;
  Tensor sin;
};

/// The rotary/2 angular frequencies for sequences of `seq_len` tokens, radians a token. Default:
/// theta^(-2i/rotary) (RoFormer, arXiv 2104.09864, section 3.2.2). Linear: divided by `factor`
/// (position interpolation, arXiv 2306.15595). Llama3: low frequencies divided by `factor`, high
/// ones kept, a linear blend between (transformers, modeling_rope_utils.py,
/// _compute_llama3_parameters). Longrope: each divided by its own factor (arXiv 2402.13753,
/// section 3.3). Yarn: those that turn often over the original length are kept, those that turn
/// seldom divided by `factor`, a linear blend between by their place (arXiv 2309.00071, sections
/// 3.2 and 3.3). Computed in F64 and rounded to F32, because models are trained and served with F32
/// frequencies.
std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_dim, int64_t seq_len);

/// Tables for sequences of `positions` tokens on the backend. The angle is rounded to F32 before
/// its cosine is taken in F64: transformers and the engines round it there, and far positions feel
/// it.
Result<RopeTables> make_rope_tables(Backend& backend, const RopeConfig& rope, int64_t head_dim,
                                    int64_t positions);

/// Tables with which Backend::rope turns nothing, and multiplies whole heads by what queries have
/// grown by at their position.
Result<RopeTables> make_growth_tables(Backend& backend, const QueryGrowth& growth, int64_t head_dim,
                                      int64_t positions);

/// A model's embedding for sequences of any length up to a largest one. Owns its tables.
class Rope {
 public:
  static Result<Rope> create(Backend& backend, const RopeConfig& rope, int64_t head_dim,
                             int64_t max_seq_len);

  /// Tables that hold for a sequence of `seq_len` tokens.
  const RopeTables& of(int64_t seq_len) const { return seq_len > longest_short_ ? long_ : short_; }

 private:
  RopeTables short_;
  RopeTables long_;            // of sequences beyond longest_short_, where there are any
  int64_t longest_short_ = 0;  // tokens
};

}  // namespace rotor::worker
