// The row-by-row operations of the CPU backend: norms, rotary embedding, activations, sums.
//
// Thread-safety: plain functions on the caller's data. Rows are cut into pieces of about
// kPieceElements. Cost: one pass over the data, no allocation.
#pragma once

#include <cstdint>
#include <span>

#include "model/config.h"
#include "quant/base/parallel.h"
#include "worker/backend/backend.h"

namespace rotor::worker::cpu {

/// out [rows, cols] = x / sqrt(mean(x^2) + eps) * weight [cols]; the mean in F64.
void rms_norm(const float* x, int64_t rows, int64_t cols, const float* weight, double eps,
              float* out, Parallel& parallel);

/// Backend::rope on x [rows, heads * shape.head_dim] with tables [seq_len, half].
void rope(float* x, int64_t rows, int64_t heads, const RopeShape& shape, const float* cos,
          const float* sin, int64_t half, Parallel& parallel);

/// Backend::copy_columns from `in` [rows, in_cols] to `out` [rows, out_cols].
void copy_columns(const float* in, int64_t in_cols, const ColumnRuns& from, float* out,
                  int64_t out_cols, const ColumnRuns& to, int64_t rows, int64_t heads,
                  int64_t width, Parallel& parallel);

/// Backend::gated_activation.
void gated_product(const GatedActivation& activation, const float* gate, const float* up,
                   int64_t size, float* out, Parallel& parallel);

/// x += y * scale.
void add(float* x, const float* y, float scale, int64_t size, Parallel& parallel);

/// Largest magnitude of x; NaN where x holds one, else infinity where it holds one. 0 of nothing.
float max_abs(const float* x, int64_t size, Parallel& parallel);

/// Lower triangle of dst [n, n] += that of src.
void add_lower(float* dst, const float* src, int64_t n, Parallel& parallel);
/// sums [cols] += the sum over all rows of (y - x)^2, x and y [rows, cols].
void add_squared_differences(const float* x, const float* y, int64_t rows, int64_t cols,
                             float* sums, Parallel& parallel);
/// Divides the lower triangle of x [n, n] by `divisor` and mirrors it.
void scale_and_mirror(float* x, int64_t n, float divisor, Parallel& parallel);

}  // namespace rotor::worker::cpu
