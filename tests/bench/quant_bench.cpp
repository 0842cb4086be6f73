// How fast the algorithm library is on one thread: rows solved, GFLOP/s of the factorization beside
// plain LAPACK's, GB/s of weights through the scale search, the rotation and the dequantizer.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <random>
#include <vector>

#include "quant/error/quadratic.h"
#include "quant/format/codes.h"
#include "quant/gptq/factor.h"
#include "quant/gptq/lapack.h"
#include "quant/gptq/refine.h"
#include "quant/gptq/solve.h"
#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"

namespace rotor {
namespace {

std::vector<float> random_values(int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = normal(generator);
  }
  return values;
}

/// X^T X of 2n random tokens.
std::vector<float> random_hessian(int64_t n) {
  const std::vector<float> x = random_values(2 * n * n);
  std::vector<float> hessian(static_cast<size_t>(n * n));
  const auto size = static_cast<int>(n);
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size, size, 2 * size, 1.0F, x.data(), size,
              x.data(), size, 0.0F, hessian.data(), size);
  return hessian;
}

QuantScheme scheme_of(int64_t format) {
  return *make_scheme(static_cast<Format>(format), 0, DType::kBf16);
}

void report_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void report_bytes(benchmark::State& state, int64_t bytes) {
  state.SetBytesProcessed(state.iterations() * bytes);
}

void factorize(benchmark::State& state) {
  const int64_t n = state.range(0);
  const std::vector<float> hessian = random_hessian(n);
  std::vector<float> upper(hessian.size());
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::vector<uint8_t> dead(static_cast<size_t>(n));
  SerialParallel serial;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        factorize_hessian(hessian.data(), n, {}, upper.data(), order.data(), dead.data(), serial)
            .ok());
  }
  const auto size = static_cast<double>(n);
  report_flops(state, 2.0 / 3.0 * size * size * size);
}
BENCHMARK(factorize)->RangeMultiplier(2)->Range(512, 4096)->Unit(benchmark::kMillisecond);

void plain_lapack(benchmark::State& state) {
  const auto n = static_cast<int>(state.range(0));
  std::vector<float> hessian = random_hessian(n);
  for (int i = 0; i < n; ++i) {
    hessian[static_cast<size_t>(i) * (static_cast<size_t>(n) + 1)] *= 1.01F;
  }
  std::vector<float> a;
  for (auto _ : state) {
    a = hessian;
    int info = 0;
    spotrf_("U", &n, a.data(), &n, &info);
    strtri_("U", "N", &n, a.data(), &n, &info);
    benchmark::DoNotOptimize(info);
  }
  const auto size = static_cast<double>(n);
  report_flops(state, 2.0 / 3.0 * size * size * size);
}
BENCHMARK(plain_lapack)->RangeMultiplier(2)->Range(512, 4096)->Unit(benchmark::kMillisecond);

/// One tile of rows; range(0): columns, range(1): format.
void solve(benchmark::State& state) {
  const int64_t n = state.range(0);
  const QuantScheme scheme = scheme_of(state.range(1));
  const std::vector<float> hessian = random_hessian(n);
  const std::vector<float> w = random_values(kSolveRowTile * n);
  std::vector<float> upper(hessian.size());
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::vector<uint8_t> dead(static_cast<size_t>(n));
  std::vector<float> effective(w.size() / static_cast<size_t>(scheme.group_size));
  std::vector<uint8_t> stored(effective.size() * 2);
  std::vector<uint8_t> codes(w.size() / 2);
  SerialParallel serial;
  (void)factorize_hessian(hessian.data(), n, {}, upper.data(), order.data(), dead.data(), serial);
  (void)search_scales(w.data(), kSolveRowTile, n, scheme, 1000.0F, {ScaleSearch::kAbsmax, {}},
                      stored.data(), effective.data(), serial);
  for (auto _ : state) {
    (void)solve_rows(w.data(), kSolveRowTile, n, scheme, effective.data(),
                     {upper.data(), order.data(), dead.data()}, codes.data(), serial);
  }
  state.SetItemsProcessed(state.iterations() * kSolveRowTile);
  report_flops(state, static_cast<double>(kSolveRowTile * n * n));
}
BENCHMARK(solve)->ArgsProduct({{512, 1024, 4096}, {0, 2}})->Unit(benchmark::kMillisecond);

/// One tile of rows, one pass that moves codes; range(0): columns.
void refine(benchmark::State& state) {
  const int64_t n = state.range(0);
  const QuantScheme scheme = scheme_of(0);
  const std::vector<float> hessian = random_hessian(n);
  const std::vector<float> w = random_values(kSolveRowTile * n);
  const std::vector<float> effective(w.size() / static_cast<size_t>(scheme.group_size), 0.005F);
  std::vector<uint8_t> codes(w.size() / 2);
  SerialParallel serial;
  for (auto _ : state) {
    std::fill(codes.begin(), codes.end(), uint8_t{0});
    (void)refine_rows(w.data(), kSolveRowTile, n, scheme, effective.data(), hessian.data(),
                      {1, 0.01}, codes.data(), serial);
  }
  state.SetItemsProcessed(state.iterations() * kSolveRowTile);
  report_flops(state, static_cast<double>(4 * kSolveRowTile * n * n));
}
BENCHMARK(refine)->Arg(512)->Arg(1024)->Arg(4096)->Unit(benchmark::kMillisecond);

/// range(0): format, range(1): search.
void scales(benchmark::State& state) {
  const QuantScheme scheme = scheme_of(state.range(0));
  const std::vector<float> w = random_values(256 * 1024);
  std::vector<float> effective(w.size() / static_cast<size_t>(scheme.group_size));
  std::vector<uint8_t> stored(effective.size() * 2);
  SerialParallel serial;
  for (auto _ : state) {
    (void)search_scales(w.data(), 256, 1024, scheme, 20000.0F,
                        {static_cast<ScaleSearch>(state.range(1)), {}}, stored.data(),
                        effective.data(), serial);
  }
  report_bytes(state, static_cast<int64_t>(w.size() * sizeof(float)));
}
BENCHMARK(scales)->ArgsProduct({{0, 1, 2}, {0, 1}});

void rotation(benchmark::State& state) {
  std::vector<float> x = random_values(256 * 1024);
  SerialParallel serial;
  for (auto _ : state) {
    (void)rotate_rows(x.data(), DType::kF32, 256, 1024, state.range(0), x.data(), serial);
  }
  report_bytes(state, static_cast<int64_t>(x.size() * sizeof(float)));
}
BENCHMARK(rotation)->RangeMultiplier(4)->Range(16, 256);

void rounding(benchmark::State& state) {
  const QuantScheme scheme = scheme_of(state.range(0));
  const std::vector<float> w = random_values(256 * 1024);
  const std::vector<float> effective(w.size() / static_cast<size_t>(scheme.group_size), 0.005F);
  std::vector<uint8_t> codes(w.size() / 2);
  SerialParallel serial;
  for (auto _ : state) {
    (void)round_rows(w.data(), 256, 1024, scheme, effective.data(), codes.data(), serial);
  }
  report_bytes(state, static_cast<int64_t>(w.size() * sizeof(float)));
}
BENCHMARK(rounding)->Arg(0)->Arg(2);

void dequantize(benchmark::State& state) {
  const QuantScheme scheme = scheme_of(0);
  std::vector<float> w = random_values(256 * 1024);
  const std::vector<float> effective(w.size() / static_cast<size_t>(scheme.group_size), 0.005F);
  const std::vector<uint8_t> codes(w.size() / 2, 0xA5);
  SerialParallel serial;
  for (auto _ : state) {
    dequantize_codes(scheme, codes.data(), effective.data(), 256, 1024, w.data(), serial);
  }
  report_bytes(state, static_cast<int64_t>(w.size() * sizeof(float)));
}
BENCHMARK(dequantize);

void quadratic(benchmark::State& state) {
  const int64_t n = state.range(0);
  const std::vector<float> hessian = random_hessian(n);
  const std::vector<float> w = random_values(256 * n);
  std::vector<double> out(256);
  SerialParallel serial;
  for (auto _ : state) {
    quadratic_rows(w.data(), nullptr, 256, n, hessian.data(), out.data(), serial);
  }
  report_flops(state, static_cast<double>(256 * n * n));
}
BENCHMARK(quadratic)->Arg(512)->Arg(2048)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rotor

int main(int argc, char** argv) {
  openblas_set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
