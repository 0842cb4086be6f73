#include "kernels/device/tile_launch.cuh"
#include "kernels/supported.h"
#include "kernels/transpose.h"

namespace rotor::kernels {
namespace {

// The grid of each kernel covers out.

__global__ void __launch_bounds__(kTileThreads)
    transpose_kernel(const float* in, int64_t rows, int64_t cols, float padding, int64_t places,
                     float* out, int64_t ld) {
  __shared__ float tile[kTileEdge][kTileEdge + 1];
  const int64_t top = tile_row();
  const int64_t left = tile_col();
  for_each_in_tile_at(left, top, rows, cols, [&](int64_t row, int64_t col) {
    tile[row - left][col - top] = in[row * cols + col];
  });
  __syncthreads();
  for_each_in_tile(cols, places, [&](int64_t row, int64_t col) {
    out[row * ld + col] = col < rows ? tile[col - left][row - top] : padding;
  });
}

__global__ void __launch_bounds__(kTileThreads)
    pack_columns_kernel(const uint8_t* codes, int64_t ld, int64_t rows, int64_t pairs,
                        uint8_t* packed) {
  __shared__ uint8_t tile[kTileEdge][kTileEdge + 4];
  const int64_t top = tile_row();
  const int64_t left = tile_col();
  for_each_in_tile_at(left, top, pairs, rows, [&](int64_t pair, int64_t row) {
    tile[pair - left][row - top] =
        static_cast<uint8_t>(codes[2 * pair * ld + row] | (codes[(2 * pair + 1) * ld + row] << 4));
  });
  __syncthreads();
  for_each_in_tile(rows, pairs, [&](int64_t row, int64_t pair) {
    packed[row * pairs + pair] = tile[pair - left][row - top];
  });
}

/// Over [pairs, places], each element two codes.
__global__ void __launch_bounds__(kTileThreads)
    unpack_columns_kernel(const uint8_t* packed, int64_t rows, int64_t pairs, int64_t places,
                          uint8_t* codes, int64_t ld) {
  __shared__ uint8_t tile[kTileEdge][kTileEdge + 4];
  const int64_t top = tile_row();
  const int64_t left = tile_col();
  for_each_in_tile_at(left, top, rows, pairs, [&](int64_t row, int64_t pair) {
    tile[row - left][pair - top] = packed[row * pairs + pair];
  });
  __syncthreads();
  for_each_in_tile(pairs, places, [&](int64_t pair, int64_t row) {
    const uint8_t byte = row < rows ? tile[row - left][pair - top] : uint8_t{0};
    codes[2 * pair * ld + row] = byte & 15U;
    codes[(2 * pair + 1) * ld + row] = byte >> 4;
  });
}

/// `places` of each line of `ld` are for `rows`.
Status check(const void* in, const void* out, int64_t rows, int64_t cols, int64_t places,
             int64_t ld) {
  ROTOR_RETURN_IF_ERROR(element_count(rows, cols).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("in", in, 1));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out, 1));
  if (places < rows || ld < places) {
    return invalid_argument(std::to_string(places) + " places in lines of " + std::to_string(ld) +
                            " for " + std::to_string(rows) + " rows")
        .with_reason("BAD_SHAPE");
  }
  return {};
}

}  // namespace

Status transpose(const float* in, int64_t rows, int64_t cols, float padding, int64_t places,
                 float* out, int64_t ld, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(in, out, rows, cols, places, ld));
  return launch_tiles("transpose", transpose_kernel, cols, places, stream, in, rows, cols, padding,
                      places, out, ld);
}

Status pack_columns(const uint8_t* codes, int64_t ld, int64_t rows, int64_t cols, uint8_t* packed,
                    cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(codes, packed, rows, cols, rows, ld));
  return launch_tiles("pack_columns", pack_columns_kernel, rows, cols / 2, stream, codes, ld, rows,
                      cols / 2, packed);
}

Status unpack_columns(const uint8_t* packed, int64_t rows, int64_t cols, int64_t places,
                      uint8_t* codes, int64_t ld, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(packed, codes, rows, cols, places, ld));
  return launch_tiles("unpack_columns", unpack_columns_kernel, cols / 2, places, stream, packed,
                      rows, cols / 2, places, codes, ld);
}

}  // namespace rotor::kernels
