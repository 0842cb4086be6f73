// Products of matrices on OpenBLAS, cut into tiles that depend on the shapes alone and run one tile
// a thread. Every call of OpenBLAS is single-threaded (the backend sees to that), so results are
// the same bits for any number of threads.
//
// Thread-safety: plain functions on the caller's data. Cost: scratch of kColumnTile * kDepthTile
// floats a thread where the weight is not F32.
#pragma once

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/parallel.h"
#include "worker/backend/cpu/buffer.h"

namespace rotor::worker::cpu {

/// How many tiles cover an extent.
inline int64_t tiles(int64_t extent, int64_t tile) {
  return (extent + tile - 1) / tile;
}

/// A weight [rows, cols] of BF16, F16 or F32.
struct WeightView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
};

/// One tile: out [m, count] (leading dimension ld_out) = x [m, cols] (ld cols) times the transpose
/// of weight rows [row_begin, row_begin + count). Wide weights are widened to F32 in `scratch` of
/// tile_scratch() floats.
void multiply_tile(const float* x, int64_t m, const WeightView& weight, int64_t row_begin,
                   int64_t count, float* out, int64_t ld_out, float* scratch);
/// Floats of scratch that multiply_tile needs for `count` rows of the weight.
int64_t tile_scratch(const WeightView& weight, int64_t count);

/// out [tokens, weight.rows] = x [tokens, weight.cols] weight^T (+ bias [weight.rows] unless null).
/// The bits of a row do not depend on how many rows there are.
void multiply(const float* x, int64_t tokens, const WeightView& weight, const float* bias,
              float* out, ScratchPool& pool, Parallel& parallel);

/// Lower triangle of hessian [n, n] += x^T x, x [tokens, n].
void accumulate_gram(const float* x, int64_t tokens, int64_t n, float* hessian, Parallel& parallel);

}  // namespace rotor::worker::cpu
