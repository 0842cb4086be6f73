// The scale of each group of weights on the GPU: what quant/scales/scale_search.h does, over the
// same candidates; sums over a group are taken in another order, so a tie within F32's rounding may
// fall the other way.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// the weights, and some 25 instructions a weight and candidate; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// `stored` [rows, cols/group_size] elements of scheme.scale_dtype, `effective` [rows,
/// cols/group_size] F32 for w [rows, cols] F32, all on the device. `column_costs` [cols] F32 weighs
/// the columns of an mse search; null: all alike. Weights must be finite. No rows: nothing is
/// launched. Errors: those of kernels/supported.h and of the launch.
Status search_scales(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                     float global_scale, ScaleSearch search, const float* column_costs,
                     uint8_t* stored, float* effective, cudaStream_t stream);

}  // namespace rotor::kernels
