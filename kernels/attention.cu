#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "kernels/attention.h"
#include "kernels/device/attention_tile.cuh"
#include "kernels/device/launch.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

struct Arguments {
  const __nv_bfloat16* q;
  const __nv_bfloat16* k;
  const __nv_bfloat16* v;
  __nv_bfloat16* out;
  int seq_len;
  int heads;
  int queries_per_kv;
  int head_dim;
  int value_dim;
  int window;   // 1 to seq_len
  int tiles;    // of queries in a sequence
  float scale;  // of what goes into the softmax, times log2(e): exponentials are powers of two
  float cap;    // of capped scores, and scale over cap
  float scale_over_cap;
  const float* sinks;   // of heads, or null
  float sink_to_score;  // from a sink to what goes into the softmax, before `scale`
};

/// One block a tile of queries of one head, the heads of a sequence next to each other, so that
/// those which share keys find them in the cache, and late queries, which see the most keys, first.
/// Keys go from the newest tile to the oldest. A tile of values is copied while scores are
/// computed, and the next tile of keys while values are added.
template <typename S, bool kCapped>
__global__ void __launch_bounds__(S::kThreads, S::kBlocksPerUnit)
    causal_attention_kernel(const Arguments arguments) {
  extern __shared__ __align__(1024) uint4 shared[];
  const int head = static_cast<int>(blockIdx.x) % arguments.heads;
  const int tile = static_cast<int>(blockIdx.x) / arguments.heads;
  const int64_t sequence = tile / arguments.tiles;
  const int first = (arguments.tiles - 1 - tile % arguments.tiles) * S::kQueries;
  const int last = arguments.seq_len - 1;
  const int dim = arguments.head_dim;

  // Tiles are as wide as keys; what values lack is zeros there, and is not written.
  const int value_dim = arguments.value_dim;
  const int kv_heads = arguments.heads / arguments.queries_per_kv;
  const int64_t q_stride = int64_t{arguments.heads} * dim;
  const int64_t k_stride = int64_t{kv_heads} * dim;
  const int64_t v_stride = int64_t{kv_heads} * value_dim;
  const int64_t out_stride = int64_t{arguments.heads} * value_dim;
  const int64_t start = sequence * arguments.seq_len;
  const int64_t kv_head = head / arguments.queries_per_kv;
  const __nv_bfloat16* q = arguments.q + start * q_stride + int64_t{head} * dim;
  const __nv_bfloat16* k = arguments.k + start * k_stride + kv_head * dim;
  const __nv_bfloat16* v = arguments.v + start * v_stride + kv_head * value_dim;
  __nv_bfloat16* out = arguments.out + start * out_stride + int64_t{head} * value_dim;

  const uint32_t queries = shared_address(shared);
  const uint32_t keys = queries + S::kQueries * S::kRowBytes;
  const uint32_t values = keys + S::kKeys * S::kRowBytes;
  const int warp_row = static_cast<int>(threadIdx.x) / kWarpSize * S::kWarpQueries;

  const int oldest = max(first - arguments.window + 1, 0) / S::kKeys * S::kKeys;
  int key = min(first + S::kQueries - 1, last) / S::kKeys * S::kKeys;
  start_copy<S, S::kQueries>(queries, q, q_stride, first, last, dim);
  start_copy<S, S::kKeys>(keys, k, k_stride, key, last, dim);
  WarpAttention<S> warp(first + warp_row, last);
  for (; key >= oldest; key -= S::kKeys) {
    wait_for_copies();
    __syncthreads();
    start_copy<S, S::kKeys>(values, v, v_stride, key, last, value_dim);
    const bool sees = warp.sees(key, arguments.window);
    if (sees) {
      warp.score(queries + warp_row * S::kRowBytes, keys);
    }
    wait_for_copies();
    __syncthreads();
    if (key > oldest) {
      start_copy<S, S::kKeys>(keys, k, k_stride, key - S::kKeys, last, dim);
    }
    if (sees) {
      if constexpr (kCapped) {
        warp.cap(arguments.cap, arguments.scale_over_cap);
      }
      warp.mask(key, arguments.window);
      warp.soften(arguments.scale);
      warp.accumulate(values);
    }
  }
  const float sink =
      arguments.sinks == nullptr ? -INFINITY : arguments.sinks[head] * arguments.sink_to_score;
  warp.add_sink(sink, arguments.scale);
  warp.finish(reinterpret_cast<char*>(shared) + warp_row * S::kRowBytes, out, out_stride,
              value_dim);
}

template <typename S>
Status launch_attention(const AttentionProblem& problem, Arguments arguments, cudaStream_t stream) {
  const int64_t tiles = (problem.seq_len + S::kQueries - 1) / S::kQueries;
  arguments.tiles = static_cast<int>(tiles);
  const Grid grid{.blocks = tiles * problem.heads * problem.sequences,
                  .threads = S::kThreads,
                  .shared_bytes = S::kSharedBytes};
  auto* kernel = problem.soft_cap > 0.0F ? &causal_attention_kernel<S, true>
                                         : &causal_attention_kernel<S, false>;
  return launch_grid("causal_attention", kernel, grid, stream, arguments);
}

Status bad_shape(const AttentionProblem& problem, const std::string& what) {
  return invalid_argument("attention of " + std::to_string(problem.sequences) + " sequences of " +
                          std::to_string(problem.seq_len) + ", " + std::to_string(problem.heads) +
                          " heads on " + std::to_string(problem.kv_heads) + ": " + what)
      .with_reason("BAD_SHAPE");
}

Status check_problem(const AttentionProblem& problem) {
  constexpr int64_t kMaxSize = 1 << 24;
  if (problem.head_dim <= 0 || problem.head_dim > kMaxHeadDim ||
      problem.head_dim % kHeadDimStep != 0) {
    return unimplemented("heads of " + std::to_string(problem.head_dim) +
                         ": the CUDA attention takes multiples of " + std::to_string(kHeadDimStep) +
                         " up to " + std::to_string(kMaxHeadDim))
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  if (problem.value_dim < 0 || problem.value_dim > problem.head_dim ||
      problem.value_dim % kHeadDimStep != 0) {
    return unimplemented("values of " + std::to_string(problem.value_dim) + " beside keys of " +
                         std::to_string(problem.head_dim) +
                         ": the CUDA attention takes multiples of " + std::to_string(kHeadDimStep) +
                         " up to the keys' own")
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  if (problem.heads <= 0 || problem.kv_heads <= 0 || problem.heads % problem.kv_heads != 0) {
    return bad_shape(problem, "heads must be a multiple of kv_heads, and both positive");
  }
  if (problem.sequences < 0 || problem.seq_len < 0 || problem.sliding_window < 0 ||
      std::max({problem.sequences, problem.seq_len, problem.heads}) > kMaxSize) {
    return bad_shape(problem, "sizes are from 0 to 2^24");
  }
  ROTOR_RETURN_IF_ERROR(
      element_count(problem.sequences * problem.seq_len, problem.heads * problem.head_dim)
          .status());
  if (!std::isnormal(problem.scale) || problem.scale < 0.0F) {
    return bad_shape(problem, "scale " + std::to_string(problem.scale) + " is not positive");
  }
  if (problem.soft_cap != 0.0F && (!std::isnormal(problem.soft_cap) || problem.soft_cap < 0.0F)) {
    return bad_shape(problem,
                     "soft cap " + std::to_string(problem.soft_cap) + " is neither positive nor 0");
  }
  return {};
}

}  // namespace

Status causal_attention(const AttentionProblem& problem, const void* q, const void* k,
                        const void* v, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_problem(problem));
  if (problem.sequences == 0 || problem.seq_len == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("q", q));
  ROTOR_RETURN_IF_ERROR(check_pointer("k", k));
  ROTOR_RETURN_IF_ERROR(check_pointer("v", v));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  if (problem.sinks != nullptr) {
    ROTOR_RETURN_IF_ERROR(check_pointer("sinks", problem.sinks, alignof(float)));
  }
  const int64_t window = problem.sliding_window > 0
                             ? std::min(problem.sliding_window, problem.seq_len)
                             : problem.seq_len;
  const bool capped = problem.soft_cap > 0.0F;
  const Arguments arguments{
      .q = static_cast<const __nv_bfloat16*>(q),
      .k = static_cast<const __nv_bfloat16*>(k),
      .v = static_cast<const __nv_bfloat16*>(v),
      .out = static_cast<__nv_bfloat16*>(out),
      .seq_len = static_cast<int>(problem.seq_len),
      .heads = static_cast<int>(problem.heads),
      .queries_per_kv = static_cast<int>(problem.heads / problem.kv_heads),
      .head_dim = static_cast<int>(problem.head_dim),
      .value_dim = static_cast<int>(problem.value_dim > 0 ? problem.value_dim : problem.head_dim),
      .window = static_cast<int>(window),
      .tiles = 0,
      .scale = (capped ? 1.0F : problem.scale) * std::numbers::log2e_v<float>,
      .cap = problem.soft_cap,
      .scale_over_cap = capped ? problem.scale / problem.soft_cap : 0.0F,
      .sinks = problem.sinks,
      .sink_to_score = capped ? 1.0F : 1.0F / problem.scale};
  // The fastest of those measured on an H100. Three spilled registers of the first cost less than
  // smaller tiles.
  if (problem.head_dim <= 64) {
    return launch_attention<AttentionTiles<64, 2, 4, 128, 2>>(problem, arguments, stream);
  }
  if (problem.head_dim <= 128) {
    return launch_attention<AttentionTiles<128, 2, 4, 64, 2>>(problem, arguments, stream);
  }
  return launch_attention<AttentionTiles<256, 1, 4, 32, 1>>(problem, arguments, stream);
}

}  // namespace rotor::kernels
