#include <string>
#include <utility>

#include "kernels/delta_net.h"
#include "kernels/device/launch.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kParts = 4;                         // lanes that share a column of the state
constexpr int kColumns = kBlockThreads / kParts;  // of the state, of a block
constexpr int kTokens = 8;                        // whose keys and queries are read together
constexpr int kWarps = kBlockThreads / kWarpSize;
constexpr float kLengthEps = 1e-6F;
static_assert(kTokens == kWarps, "each warp brings a token's key and query to length 1");

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0F / (1.0F + expf(-x));
}

template <typename T>
__device__ __forceinline__ float value_at(const T* source, int64_t at) {
  float value[1];
  load_values(source + at, value);
  return value[0];
}

template <typename T>
__device__ __forceinline__ void put_value(T* destination, int64_t at, float value) {
  const float values[1] = {value};
  store_values(destination + at, values);
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    convolution_kernel(const T* x, int64_t count, int64_t cols, int64_t seq_len,
                       const float* weight, int64_t taps, T* out) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (at >= count) {
    return;
  }
  const int64_t row = at / cols;
  const int64_t col = at - row * cols;
  const int64_t behind = row % seq_len;  // rows of the sequence before this one
  float sum = 0.0F;
  for (int64_t tap = behind < taps - 1 ? taps - 1 - behind : 0; tap < taps; ++tap) {
    sum += weight[col * taps + tap] * value_at(x, at - (taps - 1 - tap) * cols);
  }
  put_value(out, at, sum * sigmoid(sum));
}

template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    gate_kernel(T* x, const T* gate, int64_t count, int64_t cols, bool one) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
  if (at < count) {
    put_value(x, at, value_at(x, at) * sigmoid(value_at(gate, one ? at / cols : at)));
  }
}

/// What a block needs of kTokens tokens.
template <int kKeyDim>
struct Tile {
  float key[kTokens][kKeyDim];
  float query[kTokens][kKeyDim];
  float kept[kTokens];
  float beta[kTokens];
};

/// One warp: a vector of `dim` values brought to length `scale`, zeros behind it.
template <int kKeyDim, typename T>
__device__ __forceinline__ void load_to_length(const T* source, int64_t dim, float scale,
                                               float* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float values[kKeyDim / kWarpSize];
  float squares = 0.0F;
#pragma unroll
  for (int i = 0; i < kKeyDim / kWarpSize; ++i) {
    const int at = i * kWarpSize + lane;
    values[i] = at < dim ? value_at(source, at) : 0.0F;
    squares += values[i] * values[i];
  }
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    squares += __shfl_xor_sync(0xFFFFFFFFU, squares, offset);
  }
  const float inverse = rsqrtf(squares + kLengthEps) * scale;
#pragma unroll
  for (int i = 0; i < kKeyDim / kWarpSize; ++i) {
    out[i * kWarpSize + lane] = values[i] * inverse;
  }
}

__device__ __forceinline__ float sum_of_parts(float value) {
  value += __shfl_xor_sync(0xFFFFFFFFU, value, 1);
  return value + __shfl_xor_sync(0xFFFFFFFFU, value, 2);
}

/// A lane has every kParts-th row of a column of the state.
template <int kKeyDim, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    delta_kernel(DeltaProblem problem, const T* mixed, const T* beta, const T* alpha, T* out) {
  constexpr int kRows = kKeyDim / kParts;
  __shared__ Tile<kKeyDim> tile;
  const int64_t chunks = (problem.value_dim + kColumns - 1) / kColumns;
  const int64_t chunk = blockIdx.x % chunks;
  const int64_t head = blockIdx.x / chunks % problem.value_heads;
  const int64_t sequence = blockIdx.x / chunks / problem.value_heads;
  const int part = static_cast<int>(threadIdx.x) % kParts;
  const int64_t column = chunk * kColumns + threadIdx.x / kParts;
  const bool real = column < problem.value_dim;
  const int64_t key_features = problem.key_heads * problem.key_dim;
  const int64_t value_features = problem.value_heads * problem.value_dim;
  const int64_t cols = 2 * key_features + value_features;
  const int64_t key_head = head / (problem.value_heads / problem.key_heads);
  const int64_t value_at_head = head * problem.value_dim + (real ? column : 0);
  const float rate = -expf(problem.decay[head]);
  const float scale = rsqrtf(static_cast<float>(problem.key_dim));
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;

  float state[kRows];
#pragma unroll
  for (float& row : state) {
    row = 0.0F;
  }
  const int64_t begin = sequence * problem.seq_len;
  for (int64_t first = 0; first < problem.seq_len; first += kTokens) {
    const int64_t left = problem.seq_len - first;
    const int tokens = left < kTokens ? static_cast<int>(left) : kTokens;
    __syncthreads();  // the last tile has been used up
    if (warp < tokens) {
      const T* row = mixed + (begin + first + warp) * cols + key_head * problem.key_dim;
      load_to_length<kKeyDim>(row, problem.key_dim, scale, tile.query[warp]);
      load_to_length<kKeyDim>(row + key_features, problem.key_dim, 1.0F, tile.key[warp]);
    }
    if (threadIdx.x < tokens) {
      const int64_t at = (begin + first + threadIdx.x) * problem.value_heads + head;
      const float a = value_at(alpha, at) + problem.step[head];
      tile.kept[threadIdx.x] = expf(rate * (a > 20.0F ? a : log1pf(expf(a))));
      tile.beta[threadIdx.x] = sigmoid(value_at(beta, at));
    }
    __syncthreads();
    for (int token = 0; token < tokens; ++token) {
      const int64_t row = begin + first + token;
      const float value = value_at(mixed, row * cols + 2 * key_features + value_at_head);
      const float kept = tile.kept[token];
      float held = 0.0F;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        state[i] *= kept;
        held += tile.key[token][i * kParts + part] * state[i];
      }
      const float change = tile.beta[token] * (value - sum_of_parts(held));
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        state[i] += tile.key[token][i * kParts + part] * change;
        sum += tile.query[token][i * kParts + part] * state[i];
      }
      sum = sum_of_parts(sum);
      if (part == 0 && real) {
        put_value(out, row * value_features + value_at_head, sum);
      }
    }
  }
}

Status bad_shape(const std::string& what) {
  return invalid_argument(what).with_reason("BAD_SHAPE");
}

}  // namespace

Status causal_convolution(const void* x, DType dtype, int64_t rows, int64_t cols, int64_t seq_len,
                          const float* weight, int64_t taps, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (seq_len < 1 || taps < 1 || rows % seq_len != 0) {
    return bad_shape("convolution: " + std::to_string(rows) + " rows in sequences of " +
                     std::to_string(seq_len) + ", " + std::to_string(taps) + " taps");
  }
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("weight", weight));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  return with_typed(out, dtype, [&]<typename T>(T* typed) {
    return launch("causal_convolution", &convolution_kernel<T>, count, kBlockThreads, stream,
                  static_cast<const T*>(x), count, cols, seq_len, weight, taps, typed);
  });
}

Status delta_rule(const DeltaProblem& problem, const void* mixed, const void* beta,
                  const void* alpha, DType dtype, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("mixed", dtype));
  if (problem.key_heads < 1 || problem.value_heads % problem.key_heads != 0 ||
      problem.key_dim < 1 || problem.value_dim < 1) {
    return bad_shape("delta rule: " + std::to_string(problem.value_heads) + " value heads of " +
                     std::to_string(problem.value_dim) + " over " +
                     std::to_string(problem.key_heads) + " key heads of " +
                     std::to_string(problem.key_dim));
  }
  if (problem.key_dim > kLargestKeyDim) {
    return unimplemented("delta rule: keys of " + std::to_string(problem.key_dim) +
                         " features; CUDA takes up to " + std::to_string(kLargestKeyDim))
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  ROTOR_ASSIGN_OR_RETURN(const int64_t tokens, element_count(problem.sequences, problem.seq_len));
  if (tokens == 0) {
    return {};
  }
  for (const auto& [name, pointer] : {std::pair<const char*, const void*>{"mixed", mixed},
                                      {"beta", beta},
                                      {"alpha", alpha},
                                      {"decay", problem.decay},
                                      {"step", problem.step},
                                      {"out", out}}) {
    ROTOR_RETURN_IF_ERROR(check_pointer(name, pointer));
  }
  const int64_t chunks = (problem.value_dim + kColumns - 1) / kColumns;
  const int64_t blocks = problem.sequences * problem.value_heads * chunks;
  return with_typed(out, dtype, [&]<typename T>(T* typed) {
    auto* kernel = problem.key_dim <= 64    ? &delta_kernel<64, T>
                   : problem.key_dim <= 128 ? &delta_kernel<128, T>
                                            : &delta_kernel<256, T>;
    return launch("delta_rule", kernel, blocks, 1, stream, problem, static_cast<const T*>(mixed),
                  static_cast<const T*>(beta), static_cast<const T*>(alpha), typed);
  });
}

Status sigmoid_gate(void* x, const void* gate, DType dtype, int64_t rows, int64_t cols,
                    int64_t gate_cols, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (gate_cols != 1 && gate_cols != cols) {
    return bad_shape("a gate of " + std::to_string(gate_cols) + " columns for " +
                     std::to_string(cols));
  }
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("gate", gate));
  return with_typed(x, dtype, [&]<typename T>(T* typed) {
    return launch("sigmoid_gate", &gate_kernel<T>, count, kBlockThreads, stream, typed,
                  static_cast<const T*>(gate), count, cols, gate_cols == 1);
  });
}

}  // namespace rotor::kernels
