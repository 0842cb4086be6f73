// One block of columns of a sweep over a weight: every column in turn is set to its best codes,
// given what the columns before it in the sweep did. GPTQ and its refinement are both such sweeps.
//
// Let e_p = w_p - q_p be the error at place p of a row, and F the sweep's matrix. Column p's target
// is
//     t_p = (w_p - old_p) + (sum_p + added old_p) / (F_pp + added),
// where old_p is the error that it had before the sweep (0 where it was not quantized yet), and
// sum_p gathers what other columns ask of it. q_p is the code nearest to t_p, and the change of
// error e_p - old_p goes to the sums of the places below with the weights F[p, below].
//   GPTQ:       F = L with H' + damping = L L^T in reversed order, old = 0, added = 0. This is the
//               recursion of algorithm.md section 4 without the inverse: with M = J L J,
//               |e M|^2 is the error, and its component at p is e_p M_pp + sum_{i before p} e_i
//               M_ip.
//   refinement: F = H', added = damping, sum = e H' beforehand: coordinate descent on
//               e (H' + damping) e^T (quant/gptq/refine.h).
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: reads and
// writes of [count, ld] a few times, and count/2 multiply-adds an element from shared memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

inline constexpr int64_t kSweepBlock = 128;  // places in a block at most
inline constexpr int64_t kSweepRows = 64;    // what `ld` is a multiple of

/// Everything on the device; matrices of the weight lie column by column, `ld` rows each.
struct SweepBlock {
  Format format = Format::kNvfp4;
  int64_t group_size = 16;
  int64_t n = 0;      // columns of the weight
  int64_t ld = 0;     // its rows, padded
  int64_t begin = 0;  // places [begin, begin + count), swept downwards
  int64_t count = 0;
  const float* matrix = nullptr;   // F [n, n]; the lower triangle of this block is read
  const int32_t* order = nullptr;  // column at each place [n]; null: place and column are the same,
                                   // as they must be but for the first sweep
  float added = 0.0F;
  const float* weights = nullptr;  // [n, ld] by column
  const float* scales = nullptr;   // [n / group_size, ld], effective
  const float* sums = nullptr;     // [count, ld] by place in the block
  float* errors = nullptr;         // [n, ld] by place: written, and read unless `first`
  bool first = true;               // no column has codes yet: old = 0
  float* changes = nullptr;        // [count, ld]: e - old, where asked for
  uint8_t* codes = nullptr;        // [n, ld] by column
};

/// Errors: INVALID_ARGUMENT for a block that does not fit the weight; those of
/// kernels/supported.h and of the launch.
Status sweep_block(const SweepBlock& block, cudaStream_t stream);

/// errors [cols, ld] = weights - the values of codes; all by column, scales as above.
Status sweep_errors(Format format, int64_t group_size, const float* weights, const float* scales,
                    const uint8_t* codes, int64_t cols, int64_t ld, float* errors,
                    cudaStream_t stream);

}  // namespace rotor::kernels
