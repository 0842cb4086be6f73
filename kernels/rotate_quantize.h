// BF16 activations to packed FP4 in one pass: what engines do in front of an FP4 product. Rotation
// as quant/rotation/hadamard.h does it, scales and codes as quant/format/activations.h (absmax) or
// quant/scales/scale_search.h (mse); the same bits as those one after the other in F32.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// the activations and one write of codes and scales, 2.56 bytes an element; no scratch memory. mse
// is bound by arithmetic.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/scale_order.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

struct RotateQuantize {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t block = 1;   // of the Hadamard rotation, 16 to 256; 1: none
  QuantScheme scheme;  // NVFP4 or MXFP4, its global scale as scheme.global says
  ScaleSearch search = ScaleSearch::kAbsmax;
  ScaleOrder order = ScaleOrder::kRows;
  /// NVFP4's static global scale: finite and positive.
  float global_scale = 1.0F;
  /// On the device; not null: global_scale_for(scheme, *amax) takes the static one's place, *amax
  /// finite and not negative.
  const float* amax = nullptr;
};

/// codes [rows, cols/2]: QuantizedMatrix's packing. scales: scale_bytes(order, rows, cols/group)
/// bytes of E4M3 or E8M0; in tiles, those of rows and groups past the matrix become 0.
///
/// absmax: the scale of fake_quantize_activations, 0 (byte 0) where that is 0, with codes of 0.
/// mse: search_scales's choice, ties within F32's rounding aside. A group that holds a NaN or an
/// infinity (behind the rotation) gets the NaN scale, 0x7F or 0xFF, and codes of 0.
///
/// x is aligned to 16 bytes, codes to 16, scales to 4; all on the device, none overlapping. No
/// rows: nothing is launched. Errors: UNIMPLEMENTED (UNSUPPORTED_ON_CUDA) for INT4 and for blocks
/// that kernels/supported.h leaves out; INVALID_ARGUMENT for shapes, pointers and scales.
Status rotate_quantize(const void* x, const RotateQuantize& what, uint8_t* codes, uint8_t* scales,
                       cudaStream_t stream);

/// *amax = max(*amax, the largest magnitude of x R), for a dynamic global scale: one read of x
/// [rows, cols] BF16. A NaN or an infinity in x R leaves infinity in *amax; *amax must not be
/// negative.
Status rotated_max_abs(const void* x, int64_t rows, int64_t cols, int64_t block, float* amax,
                       cudaStream_t stream);

}  // namespace rotor::kernels
