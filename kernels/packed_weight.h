// A 4-bit weight in the order in which tensor cores take it, made once when a checkpoint is loaded.
//
// Rows are cut into tiles of 16 and columns into chunks of 128; what is past the matrix is zeros. A
// lane of a warp finds all that it multiplies of a chunk in two times 16 bytes, and the scales of
// its two rows side by side (device/packed_tile.cuh has the bits). Scales keep their bits for NVFP4
// and MXFP4 and become F32 for INT4.
//
// Thread-safety: pack_weight and unpack_weight enqueue on the caller's stream and current device,
// and return. Cost: one read and one write of the weight.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// A weight [rows, cols] (outputs by inputs), as it lies in `data`: packed_weight_bytes bytes on
/// the device, aligned to 16.
struct PackedWeight {
  QuantScheme scheme;
  int64_t rows = 0;
  int64_t cols = 0;
  float global_scale = 1.0F;  // as scheme.global says
  const void* data = nullptr;
};

/// Bytes of a packed weight. Errors: those of kernels/supported.h for the scheme and the shape;
/// INVALID_ARGUMENT (BAD_SHAPE) where cols is no multiple of 16.
Result<int64_t> packed_weight_bytes(const QuantScheme& scheme, int64_t rows, int64_t cols);

/// Fills `packed` from codes [rows, cols/2] and stored scales [rows, cols/group_size], both as
/// QuantizedMatrix has them, on the device. Errors: those above; INVALID_ARGUMENT (BAD_SCALE) for a
/// global scale that is not finite and positive; BAD_POINTER.
Result<PackedWeight> pack_weight(const QuantScheme& scheme, int64_t rows, int64_t cols,
                                 const uint8_t* codes, const uint8_t* scales, float global_scale,
                                 void* packed, cudaStream_t stream);

/// out [rows, cols] BF16: code times effective scale in F32, rounded to nearest, ties to even. out
/// is aligned to 16 bytes.
Status unpack_weight(const PackedWeight& weight, void* out, cudaStream_t stream);

}  // namespace rotor::kernels
