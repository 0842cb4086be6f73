#include <algorithm>

#include "kernels/device/tile_launch.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/line_product.h"
#include "kernels/noisy_inputs.h"
#include "kernels/scratch.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kTile = 128;    // of the triangle; its inverse is made by one block
constexpr int kColumns = 32;  // of the sums of a block
constexpr int kRowLanes = kBlockThreads / kColumns;

/// A block has 32 columns, and eight threads for each, which take rows in turn.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    squared_differences_kernel(const T* x, const T* y, int64_t rows, int64_t cols, float* sums) {
  const int lane = static_cast<int>(threadIdx.x) % kColumns;
  const int first = static_cast<int>(threadIdx.x) / kColumns;
  const int64_t col = static_cast<int64_t>(blockIdx.x) * kColumns + lane;
  float sum = 0.0F;
  if (col < cols) {
#pragma unroll 8
    for (int64_t row = first; row < rows; row += kRowLanes) {
      float a[1];
      float b[1];
      load_values(x + row * cols + col, a);
      load_values(y + row * cols + col, b);
      const float difference = __fsub_rn(b[0], a[0]);
      sum = fmaf(difference, difference, sum);
    }
  }
  __shared__ float parts[kRowLanes][kColumns];
  parts[first][lane] = sum;
  __syncthreads();
  if (first == 0 && col < cols) {
    for (int part = 1; part < kRowLanes; ++part) {
      sum += parts[part][lane];
    }
    sums[col] += sum;
  }
}

/// lines [n, ld] by place = w D; lines beyond the last row are zero.
__global__ void __launch_bounds__(kTileThreads)
    gather_noise_kernel(const float* w, int64_t rows, int64_t n, const float* noise,
                        const int32_t* order, float* lines, int64_t ld) {
  __shared__ float tile[kTileEdge][kTileEdge + 1];
  const int64_t top = tile_row();   // places
  const int64_t left = tile_col();  // rows of w
  for_each_in_tile_at(left, top, rows, n, [&](int64_t row, int64_t place) {
    const int64_t column = order[place];
    tile[row - left][place - top] = __fmul_rn(w[row * n + column], noise[column]);
  });
  __syncthreads();
  for_each_in_tile(n, ld, [&](int64_t place, int64_t row) {
    lines[place * ld + row] = row < rows ? tile[row - left][place - top] : 0.0F;
  });
}

__global__ void __launch_bounds__(kTileThreads)
    subtract_lines_kernel(const float* lines, int64_t ld, const int32_t* order, float* w,
                          int64_t rows, int64_t n) {
  __shared__ float tile[kTileEdge][kTileEdge + 1];
  const int64_t top = tile_row();   // rows of w
  const int64_t left = tile_col();  // places
  for_each_in_tile_at(left, top, n, rows, [&](int64_t place, int64_t row) {
    tile[place - left][row - top] = lines[place * ld + row];
  });
  __syncthreads();
  for_each_in_tile(rows, n, [&](int64_t row, int64_t place) {
    float& value = w[row * n + order[place]];
    value = __fsub_rn(value, tile[place - left][row - top]);
  });
}

/// inverses [n / kTile, kTile, kTile]: of the triangles on the diagonal of lower [n, n], with zeros
/// above. A thread has a column, which needs no other: L x = e_j from row j down.
__global__ void __launch_bounds__(kTile)
    invert_tiles_kernel(const float* lower, int64_t n, float* inverses) {
  extern __shared__ float memory[];
  constexpr int kLine = kTile + 1;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile;
  const int size = static_cast<int>(min(int64_t{kTile}, n - begin));
  const int column = static_cast<int>(threadIdx.x);
  for (int row = 0; row < size; ++row) {
    if (column <= row) {
      memory[row * kLine + column] = lower[(begin + row) * n + begin + column];
    }
  }
  __syncthreads();
  float* inverse = inverses + static_cast<int64_t>(blockIdx.x) * kTile * kTile + column;
  for (int row = 0; row < kTile; ++row) {
    float value = 0.0F;
    if (row < size && row >= column) {
      float sum = row == column ? 1.0F : 0.0F;
      for (int k = column; k < row; ++k) {
        sum = fmaf(-memory[row * kLine + k], inverse[k * kTile], sum);
      }
      value = __fdiv_rn(sum, memory[row * kLine + row]);
    }
    inverse[row * kTile] = value;
  }
}

class TriangularSolver {
 public:
  TriangularSolver(Gemm& gemm, const float* lower, int64_t n, float* lines, int64_t ld,
                   cudaStream_t stream)
      : gemm_(gemm), lower_(lower), n_(n), lines_(lines), ld_(ld), stream_(stream) {}

  /// lines = (L L^T)^-1 lines.
  Status run() {
    const int64_t tiles = (n_ + kTile - 1) / kTile;
    ROTOR_ASSIGN_OR_RETURN(
        inverses_, Scratch::allocate(tiles * kTile * kTile * int64_t{sizeof(float)}, stream_));
    ROTOR_ASSIGN_OR_RETURN(kept_, Scratch::allocate(kTile * ld_ * int64_t{sizeof(float)}, stream_));
    const Grid grid{.blocks = tiles,
                    .threads = kTile,
                    .shared_bytes = kTile * (kTile + 1) * int64_t{sizeof(float)}};
    ROTOR_RETURN_IF_ERROR(launch_grid("invert_tiles", &invert_tiles_kernel, grid, stream_, lower_,
                                      n_, inverses_.as<float>()));
    for (int64_t begin = 0; begin < n_; begin += kTile) {
      const int64_t count = std::min<int64_t>(kTile, n_ - begin);
      if (begin > 0) {
        ROTOR_RETURN_IF_ERROR(take({lower_ + begin * n_, n_, false}, lines_, begin, count, begin));
      }
      ROTOR_RETURN_IF_ERROR(divide(begin, count, /*transposed=*/false));
    }
    for (int64_t begin = (tiles - 1) * kTile; begin >= 0; begin -= kTile) {
      const int64_t count = std::min<int64_t>(kTile, n_ - begin);
      const int64_t end = begin + count;
      if (end < n_) {
        ROTOR_RETURN_IF_ERROR(
            take({lower_ + end * n_ + begin, n_, true}, line(end), begin, count, n_ - end));
      }
      ROTOR_RETURN_IF_ERROR(divide(begin, count, /*transposed=*/true));
    }
    return {};
  }

 private:
  float* line(int64_t place) const { return lines_ + place * ld_; }

  /// lines [begin, begin + count) -= matrix [count, k] of [k, ld].
  Status take(const GemmOperand& matrix, const float* of, int64_t begin, int64_t count, int64_t k) {
    GemmCall call = line_product(matrix, of, count, k, line(begin), ld_);
    call.alpha = -1.0F;
    call.beta = 1.0F;
    return gemm_.run(call, stream_);
  }

  /// Those lines times the inverse of their tile.
  Status divide(int64_t begin, int64_t count, bool transposed) {
    const float* inverse = inverses_.as<float>() + begin / kTile * kTile * kTile;
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
        cudaMemcpyAsync(kept_.data(), line(begin), static_cast<size_t>(count * ld_) * sizeof(float),
                        cudaMemcpyDeviceToDevice, stream_)));
    return gemm_.run(line_product({inverse, kTile, transposed}, kept_.as<float>(), count, count,
                                  line(begin), ld_),
                     stream_);
  }

  Gemm& gemm_;
  const float* lower_;
  const int64_t n_;
  float* lines_;
  const int64_t ld_;
  cudaStream_t stream_;
  Scratch inverses_;
  Scratch kept_;  // [kTile, ld]: what a product must not write over
};

}  // namespace

Status add_squared_differences(const void* x, const void* y, DType dtype, int64_t rows,
                               int64_t cols, float* sums, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("y", y));
  ROTOR_RETURN_IF_ERROR(check_pointer("sums", sums, alignof(float)));
  return with_typed(x, dtype, [&]<typename T>(const T* source) {
    return launch_grid("squared_differences", &squared_differences_kernel<T>,
                       {.blocks = (cols + kColumns - 1) / kColumns}, stream, source,
                       static_cast<const T*>(y), rows, cols, sums);
  });
}

Status fit_noisy_inputs(Gemm& gemm, float* w, int64_t rows, int64_t n, const float* noise,
                        const SolveFactor& factor, cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, n));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("w", w));
  ROTOR_RETURN_IF_ERROR(check_pointer("noise", noise, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("lower", factor.lower));
  const int64_t ld = line_length(rows);
  ROTOR_ASSIGN_OR_RETURN(const Scratch lines,
                         Scratch::allocate(n * ld * int64_t{sizeof(float)}, stream));
  ROTOR_RETURN_IF_ERROR(launch_tiles("gather_noise", &gather_noise_kernel, n, ld, stream, w, rows,
                                     n, noise, factor.order, lines.as<float>(), ld));
  ROTOR_RETURN_IF_ERROR(
      TriangularSolver(gemm, factor.lower, n, lines.as<float>(), ld, stream).run());
  return launch_tiles("subtract_lines", &subtract_lines_kernel, rows, n, stream, lines.as<float>(),
                      ld, factor.order, w, rows, n);
}

}  // namespace rotor::kernels
