// How fast the kernels of the decoder's forward pass are: TB/s, for attention TFLOP/s.
#include <cmath>

#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/reductions.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "tests/bench/kernels_bench.h"

namespace rotor::kernels {
namespace {

void embed(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kBf16);
  constexpr int64_t kVocabulary = kRows;
  std::vector<int32_t> ids(kRows);
  std::mt19937 generator(std::random_device{}());
  std::uniform_int_distribution<int32_t> id(0, kVocabulary - 1);
  for (int32_t& each : ids) {
    each = id(generator);
  }
  DeviceBuffer indices = take(DeviceBuffer::allocate(kRows * 4));
  check(indices.copy_from_host(ids.data(), kRows * 4, b.stream.get()));
  b.run(state, 2 * kCount * 2, [&] {
    return embed_rows(b.in.data(), DType::kBf16, kVocabulary, kCols, indices.as<int32_t>(), kRows,
                      1.0F, b.out.data(), DType::kBf16, b.stream.get());
  });
}
BENCHMARK(embed)->UseManualTime()->Unit(benchmark::kMicrosecond);

void norm(benchmark::State& state) {
  Bench& b = bench();
  const DType dtype = dtype_of(state.range(1));
  b.fill(dtype);
  const int64_t cols = state.range(0);
  DeviceBuffer weight = take(DeviceBuffer::allocate(cols * 2));
  check(weight.fill(0x3F, b.stream.get()));
  b.run(state, 2 * kCount * dtype_size(dtype), [&] {
    return rms_norm(b.in.data(), dtype, kCount / cols, cols, weight.data(), DType::kBf16, 1e-5,
                    b.out.data(), b.stream.get());
  });
}
BENCHMARK(norm)
    ->ArgNames({"cols", "bf16"})
    ->ArgsProduct({{128, 1024, 2048, 4096, 8192, 16384}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void rotary(benchmark::State& state) {
  Bench& b = bench();
  const DType dtype = dtype_of(state.range(1));
  constexpr int64_t kSeqLen = 2048;
  const int64_t head_dim = state.range(0);
  b.fill(dtype);
  DeviceBuffer table = take(DeviceBuffer::allocate(kSeqLen * head_dim / 2 * 4));
  check(table.fill(0x3F, b.stream.get()));
  b.run(state, 2 * kCount * dtype_size(dtype), [&] {
    const RopeProblem problem{kRows, kCols / head_dim, head_dim, head_dim, kSeqLen};
    return rope(b.in.data(), dtype, problem, table.as<float>(), table.as<float>(), b.stream.get());
  });
}
BENCHMARK(rotary)
    ->ArgNames({"head_dim", "bf16"})
    ->ArgsProduct({{64, 128}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void sum(benchmark::State& state) {
  Bench& b = bench();
  const DType dtype = dtype_of(state.range(0));
  b.fill(dtype);
  b.run(state, 3 * kCount * dtype_size(dtype),
        [&] { return add(b.out.data(), b.in.data(), 1.0F, dtype, kCount, b.stream.get()); });
}
BENCHMARK(sum)->ArgName("bf16")->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMicrosecond);

void silu(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kBf16);
  const auto* up = b.in.as<uint16_t>() + kCount;
  b.run(state, 3 * kCount * 2, [&] {
    return silu_product(b.in.data(), up, DType::kBf16, kCount, b.out.data(), b.stream.get());
  });
}
BENCHMARK(silu)->UseManualTime()->Unit(benchmark::kMicrosecond);

void widen(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kBf16);
  b.run(state, kCount * 6, [&] {
    return convert(b.in.data(), DType::kBf16, kCount, b.out.data(), DType::kF32, b.stream.get());
  });
}
BENCHMARK(widen)->UseManualTime()->Unit(benchmark::kMicrosecond);

void largest(benchmark::State& state) {
  Bench& b = bench();
  const DType dtype = dtype_of(state.range(0));
  b.fill(dtype);
  check(b.out.fill(0, b.stream.get()));
  b.run(state, kCount * dtype_size(dtype),
        [&] { return max_abs(b.in.data(), dtype, kCount, b.out.as<float>(), b.stream.get()); });
}
BENCHMARK(largest)->ArgName("bf16")->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMicrosecond);

void loss(benchmark::State& state) {
  Bench& b = bench();
  const int64_t vocabulary = state.range(0);
  const DType dtype = dtype_of(state.range(1));
  const int64_t rows = kCount / vocabulary;
  b.fill(dtype);
  DeviceBuffer targets = take(DeviceBuffer::allocate(rows * 4));
  check(targets.fill(0, b.stream.get()));
  b.run(state, rows * vocabulary * dtype_size(dtype), [&] {
    return cross_entropy(b.in.data(), dtype, rows, vocabulary, targets.as<int32_t>(),
                         b.out.as<float>(), b.stream.get());
  });
}
BENCHMARK(loss)
    ->ArgNames({"vocabulary", "bf16"})
    ->ArgsProduct({{32001, 128256}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// 8192 tokens with 8192 columns of queries, or a little less; four heads of queries share one of
/// keys. Only what a query sees counts.
void attention(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kBf16);
  constexpr int64_t kTokens = 8192;
  const int64_t dim = state.range(0);
  const int64_t seq_len = state.range(1);
  const int64_t window = state.range(2) > 0 ? state.range(2) : seq_len;
  const int64_t heads = kCols / dim / 4 * 4;
  const AttentionProblem problem{.sequences = kTokens / seq_len,
                                 .seq_len = seq_len,
                                 .heads = heads,
                                 .kv_heads = heads / 4,
                                 .head_dim = dim,
                                 .scale = 1.0F / std::sqrt(static_cast<float>(dim)),
                                 .sliding_window = state.range(2)};
  const auto* q = b.in.as<uint16_t>();
  const auto* k = q + kTokens * kCols;
  const auto* v = k + kTokens * kCols / 4;
  const int64_t seen = window * (window + 1) / 2 + (seq_len - window) * window;
  const double flops = 4.0 * static_cast<double>(problem.sequences * seen * heads * dim);
  b.run_flops(state, flops,
              [&] { return causal_attention(problem, q, k, v, b.out.data(), b.stream.get()); });
}
BENCHMARK(attention)
    ->ArgNames({"head_dim", "seq_len", "window"})
    ->ArgsProduct({{64, 128, 256}, {512, 2048, 8192}, {0}})
    ->Args({96, 2048, 0})
    ->Args({128, 8192, 1024})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace rotor::kernels
