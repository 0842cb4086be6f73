#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/supported.h"
#include "kernels/sweep.h"

namespace rotor::kernels {
namespace {

// A thread has one row and keeps a sub-block of its sums in registers, so a step of the recursion
// costs it one multiply-add a column and no synchronization.
constexpr int kBlock = static_cast<int>(kSweepBlock);
constexpr int kRows = static_cast<int>(kSweepRows);
constexpr int kSub = 32;
constexpr int kVector = 4;

struct Shared {
  float matrix[kBlock][kBlock];
  float changes[kBlock][kRows];  // of the places swept so far
  float inverse[kBlock];         // 1 / (F_pp + added)
  int32_t column[kBlock];
};

/// The square of the block; what lies above its diagonal is never used.
__device__ void load_shared(const SweepBlock& block, Shared& shared) {
  const int count = static_cast<int>(block.count);
  constexpr int kVectorsPerRow = kBlock / kVector;
  const float* square = block.matrix + block.begin * (block.n + 1);
#pragma unroll 8
  for (int i = static_cast<int>(threadIdx.x); i < kBlock * kVectorsPerRow; i += kRows) {
    const int row = i / kVectorsPerRow;
    const int col = i % kVectorsPerRow * kVector;
    if (row < count && col < count) {
      *reinterpret_cast<float4*>(&shared.matrix[row][col]) =
          *reinterpret_cast<const float4*>(square + row * block.n + col);
    }
  }
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kRows) {
    const int64_t place = block.begin + i;
    shared.inverse[i] = __frcp_rn(__fadd_rn(block.matrix[place * (block.n + 1)], block.added));
    shared.column[i] = block.order != nullptr ? block.order[place] : static_cast<int32_t>(place);
  }
  __syncthreads();
}

/// sums += change * F[place][first..first + kSub).
__device__ __forceinline__ void spread(const Shared& shared, int place, int first, float change,
                                       float (&sums)[kSub]) {
#pragma unroll
  for (int c = 0; c < kSub; c += kVector) {
    const float4 f = *reinterpret_cast<const float4*>(&shared.matrix[place][first + c]);
    sums[c] = fmaf(change, f.x, sums[c]);
    sums[c + 1] = fmaf(change, f.y, sums[c + 1]);
    sums[c + 2] = fmaf(change, f.z, sums[c + 2]);
    sums[c + 3] = fmaf(change, f.w, sums[c + 3]);
  }
}

template <typename Rounding, bool kFirst>
__device__ void sweep_sub_block(const SweepBlock& block, Shared& shared, int first, int64_t row) {
  const int count = static_cast<int>(block.count);
  float weight[kSub];
  float scale[kSub];
  float old[kSub];
  float sums[kSub];
  // All loads before the first use: a step of the recursion must not wait for memory.
#pragma unroll
  for (int c = 0; c < kSub; ++c) {
    if (first + c < count) {
      const int64_t column = shared.column[first + c];
      weight[c] = block.weights[column * block.ld + row];
      scale[c] = block.scales[column / block.group_size * block.ld + row];
      sums[c] = block.sums[(first + c) * block.ld + row];
      old[c] = kFirst ? 0.0F : block.errors[(block.begin + first + c) * block.ld + row];
    } else {
      weight[c] = scale[c] = sums[c] = old[c] = 0.0F;
    }
  }
  for (int place = count - 1; place >= first + kSub; --place) {
    spread(shared, place, first, shared.changes[place][threadIdx.x], sums);
  }
#pragma unroll
  for (int c = kSub - 1; c >= 0; --c) {
    const int place = first + c;
    if (place >= count) {
      continue;
    }
    float target = fmaf(fmaf(block.added, old[c], sums[c]), shared.inverse[place],
                        __fsub_rn(weight[c], old[c]));
    const float rounded = Rounding::round(__fdiv_rn(target, scale[c]));
    // The same two operations wherever an error is made, so that a code that stays changes nothing.
    const float error = __fsub_rn(weight[c], __fmul_rn(rounded, scale[c]));
    const float change = __fsub_rn(error, old[c]);
    shared.changes[place][threadIdx.x] = change;
    block.errors[(block.begin + place) * block.ld + row] = error;
    if (!kFirst) {
      block.changes[place * block.ld + row] = change;
    }
    block.codes[shared.column[place] * block.ld + row] = Rounding::code(rounded);
#pragma unroll
    for (int below = 0; below < c; ++below) {
      sums[below] = fmaf(change, shared.matrix[place][first + below], sums[below]);
    }
  }
}

template <typename Rounding, bool kFirst>
__global__ void __launch_bounds__(kRows) sweep_block_kernel(SweepBlock block) {
  extern __shared__ __align__(16) unsigned char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  load_shared(block, shared);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x;
  for (int first = kBlock - kSub; first >= 0; first -= kSub) {
    if (first < block.count) {
      sweep_sub_block<Rounding, kFirst>(block, shared, first, row);
    }
  }
}

template <typename Rounding>
__global__ void sweep_errors_kernel(int64_t group_size, const float* weights, const float* scales,
                                    const uint8_t* codes, int64_t cols, int64_t ld, float* errors) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < cols * ld) {
    const float scale = scales[i / ld / group_size * ld + i % ld];
    errors[i] = __fsub_rn(weights[i], __fmul_rn(Rounding::decode(codes[i]), scale));
  }
}

template <typename Rounding>
Status launch_sweep(const SweepBlock& block, cudaStream_t stream) {
  auto* kernel =
      block.first ? &sweep_block_kernel<Rounding, true> : &sweep_block_kernel<Rounding, false>;
  const Grid grid{
      .blocks = block.ld / kSweepRows, .threads = kRows, .shared_bytes = int64_t{sizeof(Shared)}};
  return launch_grid("sweep_block", kernel, grid, stream, block);
}

Status check_block(const SweepBlock& block) {
  const bool fits = block.begin >= 0 && block.count >= 1 && block.count <= kSweepBlock &&
                    block.begin + block.count <= block.n && block.ld % kSweepRows == 0 &&
                    (block.first || block.changes != nullptr);
  if (fits) {
    return {};
  }
  return invalid_argument("places " + std::to_string(block.begin) + " and " +
                          std::to_string(block.count) + " more of a weight with " +
                          std::to_string(block.n) + " columns of " + std::to_string(block.ld) +
                          " rows: no block of a sweep")
      .with_reason("BAD_SHAPE");
}

}  // namespace

Status sweep_block(const SweepBlock& block, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_groups(block.format, block.group_size, block.n));
  ROTOR_RETURN_IF_ERROR(check_block(block));
  if (block.ld == 0) {
    return {};
  }
  return block.format == Format::kInt4 ? launch_sweep<DeviceInt4>(block, stream)
                                       : launch_sweep<DeviceE2m1>(block, stream);
}

Status sweep_errors(Format format, int64_t group_size, const float* weights, const float* scales,
                    const uint8_t* codes, int64_t cols, int64_t ld, float* errors,
                    cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_groups(format, group_size, cols));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(cols, ld));
  if (count == 0) {
    return {};
  }
  auto* kernel =
      format == Format::kInt4 ? &sweep_errors_kernel<DeviceInt4> : &sweep_errors_kernel<DeviceE2m1>;
  return launch("sweep_errors", kernel, count, kBlockThreads, stream, group_size, weights, scales,
                codes, cols, ld, errors);
}

}  // namespace rotor::kernels
