#include "kernels/cuda_status.h"
#include "kernels/device/tile_launch.cuh"
#include "kernels/supported.h"
#include "kernels/symmetric.h"

namespace rotor::kernels {
namespace {

// Tiles of the grid above the diagonal have nothing to do and leave at once.
__device__ bool above_diagonal() {
  return blockIdx.x > blockIdx.y;
}

__global__ void __launch_bounds__(kTileThreads)
    add_lower_kernel(float* a, const float* b, int64_t n) {
  if (above_diagonal()) {
    return;
  }
  for_each_in_tile(n, n, [&](int64_t row, int64_t col) { a[row * n + col] += b[row * n + col]; });
}

__global__ void __launch_bounds__(kTileThreads)
    scale_and_mirror_kernel(float* a, int64_t n, float divisor) {
  if (above_diagonal()) {
    return;
  }
  __shared__ float tile[kTileEdge][kTileEdge + 1];
  const int64_t top = tile_row();
  const int64_t left = tile_col();
  for_each_in_tile(n, n, [&](int64_t row, int64_t col) {
    const float value = __fdiv_rn(a[row * n + col], divisor);
    tile[row - top][col - left] = value;
    if (col <= row) {
      a[row * n + col] = value;
    }
  });
  __syncthreads();
  // The same tile seen across the diagonal: its rows are this one's columns.
  for (int i = static_cast<int>(threadIdx.y); i < kTileEdge; i += kTileRows) {
    const int64_t row = left + i;
    const int64_t col = top + threadIdx.x;
    if (row < n && col < n && col > row) {
      a[row * n + col] = tile[threadIdx.x][i];
    }
  }
}

__global__ void take_diagonal_kernel(const float* a, int64_t n, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) {
    out[i] = a[i * (n + 1)];
  }
}

__global__ void add_diagonal_kernel(float* a, int64_t n, const float* values) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) {
    a[i * (n + 1)] = __fadd_rn(a[i * (n + 1)], values[i]);
  }
}

__global__ void square_diagonal_kernel(const float* a, int64_t n, const int32_t* order,
                                       float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) {
    out[order[i]] = __fmul_rn(a[i * (n + 1)], a[i * (n + 1)]);
  }
}

__global__ void __launch_bounds__(kTileThreads)
    gather_lower_kernel(const float* a, int64_t n, const int32_t* order, const uint8_t* dead,
                        Damping damping, float* out) {
  for_each_in_tile(n, n, [&](int64_t row, int64_t col) {
    float value = 0.0F;
    if (col <= row) {
      const int64_t r = order[row];
      const int64_t c = order[col];
      if (dead[r] == 0 && dead[c] == 0) {
        value = a[r * n + c];
      } else if (row == col) {
        value = damping.dead;
      }
      if (row == col) {
        value += damping.added;
      }
    }
    out[row * n + col] = value;
  });
}

Status check_square(const void* a, const void* b, int64_t n) {
  ROTOR_RETURN_IF_ERROR(element_count(n, n).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("a", a));
  return check_pointer("b", b);
}

}  // namespace

Status add_lower(float* a, const float* b, int64_t n, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, b, n));
  return launch_tiles("add_lower", add_lower_kernel, n, n, stream, a, b, n);
}

Status scale_and_mirror(float* a, int64_t n, float divisor, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, a, n));
  return launch_tiles("scale_and_mirror", scale_and_mirror_kernel, n, n, stream, a, n, divisor);
}

Status take_diagonal(const float* a, int64_t n, float* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, out, n));
  return launch("take_diagonal", take_diagonal_kernel, n, kBlockThreads, stream, a, n, out);
}

Status add_diagonal(float* a, int64_t n, const float* values, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, values, n));
  return launch("add_diagonal", add_diagonal_kernel, n, kBlockThreads, stream, a, n, values);
}

Status square_diagonal(const float* a, int64_t n, const int32_t* order, float* out,
                       cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, out, n));
  return launch("square_diagonal", square_diagonal_kernel, n, kBlockThreads, stream, a, n, order,
                out);
}

Status gather_lower(const float* a, int64_t n, const int32_t* order, const uint8_t* dead,
                    const Damping& damping, float* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_square(a, out, n));
  return launch_tiles("gather_lower", gather_lower_kernel, n, n, stream, a, n, order, dead, damping,
                      out);
}

}  // namespace rotor::kernels
