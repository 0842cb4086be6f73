#include <cuda_pipeline.h>

#include <type_traits>

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
constexpr int kSmallestGroup = 16;               // of kernels/supported.h
constexpr int64_t kMostRows = int64_t{1} << 30;  // so that a line's bytes fit 32 bits

struct Shared {
  float matrix[kBlock][kBlock];
  float changes[kBlock][kRows];  // of the places swept so far
  float inverse[kBlock];         // 1 / (F_pp + added)
  int32_t column[kBlock];
  int32_t group[kBlock];
};

/// Starts copying the lower triangle of the block's square; what lies above it is never used.
__device__ void begin_load(const SweepBlock& block, Shared& shared) {
  const int count = static_cast<int>(block.count);
  constexpr int kVectorsPerRow = kBlock / kVector;
  const float* square = block.matrix + block.begin * (block.n + 1);
  for (int i = static_cast<int>(threadIdx.x); i < count * kVectorsPerRow; i += kRows) {
    const int row = i / kVectorsPerRow;
    const int col = i % kVectorsPerRow * kVector;
    if (col <= row) {
      __pipeline_memcpy_async(&shared.matrix[row][col], square + row * block.n + col,
                              sizeof(float4));
    }
  }
  __pipeline_commit();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kRows) {
    const int64_t place = block.begin + i;
    shared.inverse[i] = __frcp_rn(__fadd_rn(block.matrix[place * (block.n + 1)], block.added));
    shared.column[i] = block.order != nullptr ? block.order[place] : static_cast<int32_t>(place);
    shared.group[i] = shared.column[i] / static_cast<int32_t>(block.group_size);
  }
  __syncthreads();  // columns are known; the square comes later
}

/// A row of F within a sub-block.
__device__ __forceinline__ void load_row(const Shared& shared, int place, int first,
                                         float (&row)[kSub]) {
#pragma unroll
  for (int c = 0; c < kSub; c += kVector) {
    const float4 f = *reinterpret_cast<const float4*>(&shared.matrix[place][first + c]);
    row[c] = f.x;
    row[c + 1] = f.y;
    row[c + 2] = f.z;
    row[c + 3] = f.w;
  }
}

/// What a thread knows of its row in one sub-block before it sweeps it.
template <bool kFirst>
struct RowState {
  // Columns that are in order have their scales in common; each has its own otherwise.
  static constexpr int kShared = kFirst ? 1 : kSmallestGroup;
  float weight[kSub];
  float old[kFirst ? 1 : kSub];
  float sums[kSub];
  float scale[kSub / kShared];
  float inverse_scale[kSub / kShared];

  __device__ __forceinline__ float old_at(int c) const { return kFirst ? 0.0F : old[c]; }
};

/// Line `index` of a matrix whose lines are `bytes` long: one instruction, both being 32 bits wide.
template <typename T>
__device__ __forceinline__ T* line(T* matrix, int index, uint32_t bytes) {
  using Byte = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(matrix) +
                              static_cast<uint64_t>(static_cast<uint32_t>(index)) * bytes);
}

/// All loads before the first use: a step of the recursion must not wait for memory. Places beyond
/// the block's end are read like its last one, and not used.
template <bool kFirst>
__device__ __forceinline__ void load_state(const SweepBlock& block, const Shared& shared, int first,
                                           int64_t row, RowState<kFirst>& state) {
  using State = RowState<kFirst>;
  const int last = static_cast<int>(block.count) - 1;
  const auto ld = static_cast<uint32_t>(block.ld * int64_t{sizeof(float)});
  const float* old = block.errors + block.begin * block.ld + row;
#pragma unroll
  for (int c = 0; c < kSub; ++c) {
    const int place = min(first + c, last);
    state.weight[c] = *line(block.weights + row, shared.column[place], ld);
    state.sums[c] = *line(block.sums + row, place, ld);
    if (!kFirst) {
      state.old[c] = *line(old, place, ld);
    }
    if (c % State::kShared == 0) {
      state.scale[c / State::kShared] = *line(block.scales + row, shared.group[place], ld);
    }
  }
#pragma unroll
  for (int g = 0; g < kSub / State::kShared; ++g) {
    state.inverse_scale[g] = __frcp_rn(state.scale[g]);
  }
  if (!kFirst) {
#pragma unroll
    for (int c = 0; c < kSub; ++c) {
      state.sums[c] = fmaf(block.added, state.old[c], state.sums[c]);
    }
  }
}

/// Places beyond the block's end change nothing and are not written.
template <typename Rounding, bool kFirst>
__device__ __forceinline__ void sweep_sub_block(const SweepBlock& block, Shared& shared, int first,
                                                int64_t row, RowState<kFirst>& state) {
  using State = RowState<kFirst>;
  const int last = static_cast<int>(block.count) - 1;
  const auto ld = static_cast<uint32_t>(block.ld * int64_t{sizeof(float)});
  float* errors = block.errors + (block.begin + first) * block.ld + row;
  float below[kSub];
  load_row(shared, min(first + kSub - 1, last), first, below);
#pragma unroll
  for (int c = kSub - 1; c >= 0; --c) {
    // The next row of F is on its way before this one's stores, which it does not depend on.
    float next[kSub];
    load_row(shared, min(first + max(c - 1, 0), last), first, next);
    const float weight = state.weight[c];
    const float target =
        fmaf(state.sums[c], shared.inverse[first + c], __fsub_rn(weight, state.old_at(c)));
    const float rounded =
        Rounding::round(__fmul_rn(target, state.inverse_scale[c / State::kShared]));
    // The same two operations wherever an error is made, so that a code that stays changes nothing.
    const float error = __fsub_rn(weight, __fmul_rn(rounded, state.scale[c / State::kShared]));
    const bool real = first + c <= last;
    const float change = real ? __fsub_rn(error, state.old_at(c)) : 0.0F;
#pragma unroll
    for (int i = c - 1; i >= 0; --i) {
      state.sums[i] = fmaf(change, below[i], state.sums[i]);
      below[i] = next[i];
    }
    shared.changes[first + c][threadIdx.x] = change;
    if (real) {
      *line(errors, c, ld) = error;
      if (!kFirst) {
        *line(block.changes + row, first + c, ld) = change;
      }
      *line(block.codes + row, shared.column[first + c], ld / uint32_t{sizeof(float)}) =
          Rounding::code(rounded);
    }
  }
}

template <typename Rounding, bool kFirst>
__global__ void __launch_bounds__(kRows) sweep_block_kernel(SweepBlock block) {
  extern __shared__ __align__(16) unsigned char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  begin_load(block, shared);
  const int count = static_cast<int>(block.count);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x;
  bool waiting = true;
  for (int first = (count - 1) / kSub * kSub; first >= 0; first -= kSub) {
    RowState<kFirst> state;
    load_state(block, shared, first, row, state);
    if (waiting) {
      __pipeline_wait_prior(0);
      __syncthreads();
      waiting = false;
    }
#pragma unroll 4
    for (int place = count - 1; place >= first + kSub; --place) {
      float above[kSub];
      load_row(shared, place, first, above);
      const float change = shared.changes[place][threadIdx.x];
#pragma unroll
      for (int c = 0; c < kSub; ++c) {
        state.sums[c] = fmaf(change, above[c], state.sums[c]);
      }
    }
    sweep_sub_block<Rounding>(block, shared, first, row, state);
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
  const bool fits = block.ld <= kMostRows && block.begin >= 0 && block.count >= 1 &&
                    block.count <= kSweepBlock && block.begin + block.count <= block.n &&
                    block.ld % kSweepRows == 0 &&
                    (block.first || (block.changes != nullptr && block.order == nullptr));
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
