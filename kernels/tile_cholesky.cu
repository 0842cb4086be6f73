#include "kernels/device/launch.cuh"
#include "kernels/supported.h"
#include "kernels/tile_cholesky.h"

namespace rotor::kernels {
namespace {

constexpr int kTile = static_cast<int>(kCholeskyTile);
constexpr int kBlock = 32;  // factorized by one warp, a row a lane
constexpr int kEdge = 16;   // threads along each side of a product
constexpr int kThreads = kEdge * kEdge;
static_assert(kThreads == kBlockThreads);

struct Shared {
  float tile[kTile][kTile + 1];  // L, then its inverse in place; zeros above the diagonal
  float inverse_diagonal[kTile];
  float product[kTile / 2][kTile / 2 + 1];
};

__device__ void load(Shared& shared, const float* a, int n, int64_t ld) {
#pragma unroll 16
  for (int e = static_cast<int>(threadIdx.x); e < kTile * kTile; e += kThreads) {
    const int row = e / kTile;
    const int col = e % kTile;
    // Beyond n the identity: it changes nothing, and is not written.
    float value = row == col ? 1.0F : 0.0F;
    if (row < n && col <= row) {
      value = a[row * ld + col];
    }
    shared.tile[row][col] = value;
  }
  __syncthreads();
}

/// One warp: the block on the diagonal at `begin`, a row a lane.
__device__ void factorize_block(Shared& shared, int begin) {
  const int lane = static_cast<int>(threadIdx.x);
  float row[kBlock];
  float inverse_pivot = 0.0F;
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    row[c] = shared.tile[begin + lane][begin + c];
  }
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    // Infinite for a pivot of zero, NaN below: either makes a NaN of L's diagonal.
    const float inverse = rsqrtf(__shfl_sync(0xffffffffU, row[c], c));
    row[c] *= inverse;
    inverse_pivot = lane == c ? inverse : inverse_pivot;
#pragma unroll
    for (int j = c + 1; j < kBlock; ++j) {
      row[j] = fmaf(-row[c], __shfl_sync(0xffffffffU, row[c], j), row[j]);
    }
  }
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    if (c <= lane) {
      shared.tile[begin + lane][begin + c] = row[c];
    }
  }
  shared.inverse_diagonal[begin + lane] = inverse_pivot;
}

/// One warp: the block on the diagonal at `begin` becomes its inverse, a column a lane.
__device__ void invert_block(Shared& shared, int begin) {
  const int lane = static_cast<int>(threadIdx.x) % kBlock;
  float column[kBlock];
#pragma unroll
  for (int i = 0; i < kBlock; ++i) {
    float sum = i == lane ? 1.0F : 0.0F;
#pragma unroll
    for (int k = 0; k < i; ++k) {
      sum = fmaf(-shared.tile[begin + i][begin + k], column[k], sum);
    }
    column[i] = sum * shared.inverse_diagonal[begin + i];
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < kBlock; ++i) {
    shared.tile[begin + i][begin + lane] = column[i];
  }
}

/// The rows below that block, a row a thread: x such that x L^T is the row.
__device__ void solve_below(Shared& shared, int begin) {
  const int row = begin + kBlock + static_cast<int>(threadIdx.x);
  if (row >= kTile) {
    return;
  }
  float x[kBlock];
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    x[c] = shared.tile[row][begin + c];
  }
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    x[c] *= shared.inverse_diagonal[begin + c];
#pragma unroll
    for (int k = c + 1; k < kBlock; ++k) {
      x[k] = fmaf(-x[c], shared.tile[begin + k][begin + c], x[k]);
    }
  }
#pragma unroll
  for (int c = 0; c < kBlock; ++c) {
    shared.tile[row][begin + c] = x[c];
  }
}

/// A thread's share of a product: rows `y` and columns `x` of the edge, and every kEdge-th further
/// on. out(row, col, sum over the `depth` values of k of left_at(row, k) right_at(k, col)) for
/// each, once all are summed.
template <int kReach, typename Left, typename Right, typename Out>
__device__ void multiply(int depth, Left&& left_at, Right&& right_at, Out&& out) {
  const int y = static_cast<int>(threadIdx.x) / kEdge;
  const int x = static_cast<int>(threadIdx.x) % kEdge;
  float sums[kReach][kReach] = {};
#pragma unroll 8
  for (int k = 0; k < depth; ++k) {
    float left[kReach];
    float right[kReach];
#pragma unroll
    for (int i = 0; i < kReach; ++i) {
      left[i] = left_at(y + i * kEdge, k);
      right[i] = right_at(k, x + i * kEdge);
    }
#pragma unroll
    for (int i = 0; i < kReach; ++i) {
#pragma unroll
      for (int j = 0; j < kReach; ++j) {
        sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kReach; ++i) {
#pragma unroll
    for (int j = 0; j < kReach; ++j) {
      out(y + i * kEdge, x + j * kEdge, sums[i][j]);
    }
  }
}

/// Takes the product of those rows with themselves from the rest of the tile.
__device__ void update_rest(Shared& shared, int begin) {
  const int first = begin + kBlock;
  // Rows beyond the tile are summed like the last one, and not written.
  const auto at = [&](int row, int k) {
    return shared.tile[min(first + row, kTile - 1)][begin + k];
  };
  // What is read lies left of what is written.
  multiply<(kTile - kBlock) / kEdge>(
      kBlock, at, [&](int k, int col) { return at(col, k); },
      [&](int row, int col, float sum) {
        if (first + row < kTile && col <= row) {
          shared.tile[first + row][first + col] -= sum;
        }
      });
}

/// Of [A^-1 0; B C^-1], whose blocks of kHalf rows begin at `top`, B becomes what stands there in
/// the inverse of [A 0; B C]: -C^-1 B A^-1.
template <int kHalf>
__device__ void join_inverses(Shared& shared, int top) {
  const int middle = top + kHalf;
  constexpr int kReach = kHalf / kEdge;
  multiply<kReach>(
      kHalf, [&](int row, int k) { return -shared.tile[middle + row][top + k]; },
      [&](int k, int col) { return shared.tile[top + k][top + col]; },
      [&](int row, int col, float sum) { shared.product[row][col] = sum; });
  __syncthreads();
  multiply<kReach>(
      kHalf, [&](int row, int k) { return shared.tile[middle + row][middle + k]; },
      [&](int k, int col) { return shared.product[k][col]; },
      [&](int row, int col, float sum) { shared.tile[middle + row][top + col] = sum; });
  __syncthreads();
}

/// Rows and columns below n; `whole`: those above the diagonal, too.
__device__ void store(const Shared& shared, bool whole, float* out, int n, int64_t ld) {
#pragma unroll 8
  for (int e = static_cast<int>(threadIdx.x); e < kTile * kTile; e += kThreads) {
    const int row = e / kTile;
    const int col = e % kTile;
    if (row < n && col < n && (whole || col <= row)) {
      out[row * ld + col] = shared.tile[row][col];
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    factorize_tile_kernel(float* a, int n, int64_t ld, float* inverse, int64_t inverse_ld) {
  extern __shared__ float memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  load(shared, a, n, ld);
  for (int begin = 0; begin < kTile; begin += kBlock) {
    if (threadIdx.x < kBlock) {
      factorize_block(shared, begin);
    }
    __syncthreads();
    if (begin + kBlock < kTile) {
      solve_below(shared, begin);
      __syncthreads();
      update_rest(shared, begin);
      __syncthreads();
    }
  }
  store(shared, /*whole=*/false, a, n, ld);
  __syncthreads();
  if (threadIdx.x < kTile) {
    invert_block(shared, static_cast<int>(threadIdx.x) / kBlock * kBlock);
  }
  __syncthreads();
  join_inverses<kBlock>(shared, 0);
  join_inverses<kBlock>(shared, 2 * kBlock);
  join_inverses<2 * kBlock>(shared, 0);
  store(shared, /*whole=*/true, inverse, n, inverse_ld);
}

}  // namespace

Status factorize_tile(float* a, int64_t n, int64_t ld, float* inverse, int64_t inverse_ld,
                      cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_pointer("a", a, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("inverse", inverse, alignof(float)));
  if (n < 1 || n > kCholeskyTile) {
    return invalid_argument("factorize_tile: " + std::to_string(n) + " rows, of at most " +
                            std::to_string(kCholeskyTile))
        .with_reason("BAD_SHAPE");
  }
  const Grid grid{.blocks = 1, .threads = kThreads, .shared_bytes = sizeof(Shared)};
  return launch_grid("factorize_tile", factorize_tile_kernel, grid, stream, a, static_cast<int>(n),
                     ld, inverse, inverse_ld);
}

}  // namespace rotor::kernels
