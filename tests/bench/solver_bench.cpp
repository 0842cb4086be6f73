// How fast the kernels of the solver are, and what they make up together.
#include <numeric>

#include "kernels/block_cholesky.h"
#include "kernels/cholesky.h"
#include "kernels/gemm.h"
#include "kernels/gram.h"
#include "kernels/quadratic.h"
#include "kernels/rotate_symmetric.h"
#include "kernels/scale_search.h"
#include "kernels/solve.h"
#include "kernels/sweep.h"
#include "kernels/symmetric.h"
#include "kernels/tile_cholesky.h"
#include "kernels/transpose.h"
#include "tests/bench/kernels_bench.h"

namespace rotor::kernels {
namespace {

/// A weight to solve, with scales that suit it and a matrix that every step can use.
struct Problem {
  int64_t rows;
  int64_t cols;
  Gemm gemm = take(Gemm::create(bench().stream.get()));
  QuantScheme scheme{Format::kNvfp4, 16, DType::kF8E4M3};
  DeviceBuffer w;
  DeviceBuffer effective;
  DeviceBuffer codes;
  DeviceBuffer matrix;
  DeviceBuffer order;

  Problem(int64_t r, int64_t c) : rows(r), cols(c) {
    Bench& b = bench();
    w = take(DeviceBuffer::allocate(rows * cols * 4));
    effective = take(DeviceBuffer::allocate(rows * cols / 16 * 4));
    codes = take(DeviceBuffer::allocate(rows * cols / 2));
    matrix = take(DeviceBuffer::allocate(cols * cols * 4));
    order = take(DeviceBuffer::allocate(cols * 4));
    b.fill(DType::kF32);
    for (int64_t at = 0; at < w.bytes(); at += b.in.bytes()) {
      check(ROTOR_CUDA(cudaMemcpyAsync(w.as<char>() + at, b.in.data(),
                                       static_cast<size_t>(std::min(b.in.bytes(), w.bytes() - at)),
                                       cudaMemcpyDeviceToDevice, b.stream.get())));
    }
    const DeviceBuffer stored = take(DeviceBuffer::allocate(rows * cols / 16));
    check(search_scales(w.as<float>(), rows, cols, scheme, 64.0F, ScaleSearch::kMse, nullptr,
                        stored.as<uint8_t>(), effective.as<float>(), b.stream.get()));
    make_matrix();
    std::vector<int32_t> places(static_cast<size_t>(cols));
    std::iota(places.begin(), places.end(), 0);
    check(order.copy_from_host(places.data(), cols * 4, b.stream.get()));
    check(b.stream.synchronize());
  }

  /// x^T x of random BF16 inputs, and as much again on the diagonal.
  void make_matrix() {
    Bench& b = bench();
    b.fill(DType::kBf16);
    constexpr int64_t kTokens = 2048;
    check(matrix.fill(0, b.stream.get()));
    check(accumulate_gram(gemm, b.in.data(), kTokens, cols, matrix.as<float>(), b.stream.get()));
    check(scale_and_mirror(matrix.as<float>(), cols, kTokens, b.stream.get()));
    const DeviceBuffer copy = take(DeviceBuffer::allocate(matrix.bytes()));
    check(
        ROTOR_CUDA(cudaMemcpyAsync(copy.data(), matrix.data(), static_cast<size_t>(matrix.bytes()),
                                   cudaMemcpyDeviceToDevice, b.stream.get())));
    std::vector<int32_t> places(static_cast<size_t>(cols));
    std::iota(places.begin(), places.end(), 0);
    check(order.copy_from_host(places.data(), cols * 4, b.stream.get()));
    DeviceBuffer dead = take(DeviceBuffer::allocate(cols));
    check(dead.fill(0, b.stream.get()));
    check(gather_lower(copy.as<float>(), cols, order.as<int32_t>(), dead.as<uint8_t>(),
                       {1.0F, 1.0F}, matrix.as<float>(), b.stream.get()));
    check(scale_and_mirror(matrix.as<float>(), cols, 1.0F, b.stream.get()));
    check(b.stream.synchronize());
  }

  SolveProblem problem() const {
    return {cols, scheme, {{w.as<float>(), rows, effective.as<float>(), codes.as<uint8_t>()}}};
  }
  double elements() const { return static_cast<double>(rows) * static_cast<double>(cols); }
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "cols"})
      ->Args({1024, 8192})
      ->Args({8192, 8192})
      ->Args({28672, 8192})
      ->Args({8192, 28672})
      ->Args({4096, 28672})
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void solve(benchmark::State& state) {
  Problem p(state.range(0), state.range(1));
  Bench& b = bench();
  b.run_flops(state, p.elements() * static_cast<double>(p.cols), [&] {
    return solve_rows(p.gemm, p.problem(), {p.matrix.as<float>(), p.order.as<int32_t>()},
                      b.stream.get());
  });
}
BENCHMARK(solve)->Apply(shapes);

void refine(benchmark::State& state) {
  Problem p(state.range(0), state.range(1));
  Bench& b = bench();
  check(p.codes.fill(0x11, b.stream.get()));
  b.run_flops(state, 2.0 * p.elements() * static_cast<double>(p.cols), [&] {
    return refine_rows(p.gemm, p.problem(), p.matrix.as<float>(), 0.01F, 1, b.stream.get());
  });
}
BENCHMARK(refine)->Apply(shapes);

void measure(benchmark::State& state) {
  Problem p(state.range(0), state.range(1));
  Bench& b = bench();
  const DeviceBuffer out = take(DeviceBuffer::allocate(p.rows * 8));
  b.run_flops(state, 2.0 * p.elements() * static_cast<double>(p.cols), [&] {
    return quadratic_rows(p.gemm, p.w.as<float>(), nullptr, p.rows, p.cols, p.matrix.as<float>(),
                          out.as<double>(), b.stream.get());
  });
}
BENCHMARK(measure)->Apply(shapes);

/// One block of 128 columns.
void sweep(benchmark::State& state) {
  const int64_t ld = state.range(0);
  const bool first = state.range(1) == 0;
  Problem p(1024, 8192);
  Bench& b = bench();
  const int64_t lines = 8192;
  const DeviceBuffer errors = take(DeviceBuffer::allocate(lines * ld * 4));
  const DeviceBuffer weights = take(DeviceBuffer::allocate(lines * ld * 4));
  const DeviceBuffer scales = take(DeviceBuffer::allocate(lines / 16 * ld * 4));
  const DeviceBuffer sums = take(DeviceBuffer::allocate(kSweepBlock * ld * 4));
  const DeviceBuffer changes = take(DeviceBuffer::allocate(kSweepBlock * ld * 4));
  const DeviceBuffer codes = take(DeviceBuffer::allocate(lines * ld));
  for (const DeviceBuffer* buffer : {&errors, &weights, &scales, &sums}) {
    check(ROTOR_CUDA(cudaMemsetAsync(buffer->data(), 0x3E, static_cast<size_t>(buffer->bytes()),
                                     b.stream.get())));
  }
  SweepBlock block;
  block.n = lines;
  block.ld = ld;
  block.begin = 1024;
  block.count = kSweepBlock;
  block.matrix = p.matrix.as<float>();
  block.order = first ? p.order.as<int32_t>() : nullptr;
  block.weights = weights.as<float>();
  block.scales = scales.as<float>();
  block.sums = sums.as<float>();
  block.errors = errors.as<float>();
  block.first = first;
  block.changes = changes.as<float>();
  block.codes = codes.as<uint8_t>();
  b.run(state, kSweepBlock * ld * (first ? 13 : 21),
        [&] { return sweep_block(block, b.stream.get()); });
}
BENCHMARK(sweep)
    ->ArgNames({"rows", "refine"})
    ->ArgsProduct({{1024, 4096, 8192, 28672}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// The product between two blocks of a panel, and between two panels.
void panel(benchmark::State& state) {
  const int64_t depth = state.range(0);
  const int64_t lines = state.range(1);
  const int64_t ld = 8192;
  Bench& b = bench();
  Gemm gemm = take(Gemm::create(b.stream.get()));
  b.fill(DType::kF32);
  DeviceBuffer matrix = take(DeviceBuffer::allocate(depth * 28672 * 4));
  check(matrix.fill(0x3E, b.stream.get()));
  GemmCall call;
  call.m = lines;
  call.n = ld;
  call.k = depth;
  call.a = {matrix.data(), 28672, true};
  call.b = {b.in.data(), ld, false};
  call.in_dtype = DType::kF32;
  call.out = b.out.data();
  call.out_ld = ld;
  call.out_dtype = DType::kF32;
  call.beta = 1.0F;
  call.any_n = true;
  b.run_flops(state, 2.0 * static_cast<double>(depth * lines * ld),
              [&] { return gemm.run(call, b.stream.get()); });
}
BENCHMARK(panel)
    ->ArgNames({"depth", "lines"})
    ->Args({128, 512})
    ->Args({128, 896})
    ->Args({8192, 1024})
    ->Args({16384, 1024})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void gram(benchmark::State& state) {
  const int64_t n = state.range(0);
  constexpr int64_t kTokens = 4096;
  Bench& b = bench();
  Gemm gemm = take(Gemm::create(b.stream.get()));
  b.fill(DType::kBf16);
  DeviceBuffer hessian = take(DeviceBuffer::allocate(n * n * 4));
  check(hessian.fill(0, b.stream.get()));
  b.run_flops(
      state, static_cast<double>(kTokens) * static_cast<double>(n) * static_cast<double>(n), [&] {
        return accumulate_gram(gemm, b.in.data(), kTokens, n, hessian.as<float>(), b.stream.get());
      });
}
BENCHMARK(gram)->ArgName("n")->Arg(4096)->Arg(8192)->Arg(14336)->Arg(28672)->UseManualTime()->Unit(
    benchmark::kMillisecond);

void factorize(benchmark::State& state) {
  Problem p(16, state.range(0));
  Bench& b = bench();
  const DeviceBuffer a = take(DeviceBuffer::allocate(p.matrix.bytes()));
  const auto n = static_cast<double>(p.cols);
  b.run_flops(state, n * n * n / 3.0, [&]() -> Status {
    ROTOR_RETURN_IF_ERROR(
        ROTOR_CUDA(cudaMemcpyAsync(a.data(), p.matrix.data(), static_cast<size_t>(a.bytes()),
                                   cudaMemcpyDeviceToDevice, b.stream.get())));
    return factorize_cholesky(p.gemm, a.as<float>(), p.cols, {}, b.stream.get());
  });
}
BENCHMARK(factorize)
    ->ArgName("n")
    ->Arg(4096)
    ->Arg(8192)
    ->Arg(14336)
    ->Arg(28672)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

/// A block on the diagonal of a large matrix, and its inverse; a single tile where there is but
/// one.
void factorize_diagonal(benchmark::State& state) {
  const int64_t n = state.range(0);
  Problem p(16, 8192);
  Bench& b = bench();
  const DeviceBuffer a = take(DeviceBuffer::allocate(p.matrix.bytes()));
  const DeviceBuffer inverse = take(DeviceBuffer::allocate(n * n * 4));
  const auto size = static_cast<double>(n);
  b.run_flops(state, size * size * size * 2.0 / 3.0, [&]() -> Status {
    const size_t line = static_cast<size_t>(p.cols) * sizeof(float);
    ROTOR_RETURN_IF_ERROR(
        ROTOR_CUDA(cudaMemcpyAsync(a.data(), p.matrix.data(), static_cast<size_t>(n) * line,
                                   cudaMemcpyDeviceToDevice, b.stream.get())));
    return n <= kCholeskyTile
               ? factorize_tile(a.as<float>(), n, p.cols, inverse.as<float>(), n, b.stream.get())
               : factorize_block(p.gemm, a.as<float>(), n, p.cols, inverse.as<float>(),
                                 b.stream.get());
  });
}
BENCHMARK(factorize_diagonal)
    ->ArgName("n")
    ->Arg(kCholeskyTile)
    ->Arg(kCholeskyBlock)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// Both sides of a Hessian; reads its lower triangle, writes it whole.
void rotate_both_sides(benchmark::State& state) {
  const int64_t n = 16384;
  Problem p(16, n);
  Bench& b = bench();
  const DeviceBuffer out = take(DeviceBuffer::allocate(p.matrix.bytes()));
  b.run(state, n * n * 6, [&] {
    return rotate_symmetric(p.matrix.as<float>(), n, state.range(0), out.as<float>(),
                            b.stream.get());
  });
}
BENCHMARK(rotate_both_sides)
    ->ArgName("block")
    ->Arg(16)
    ->Arg(128)
    ->Arg(256)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void search(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kF32);
  const bool mxfp4 = state.range(0) == 1;
  const QuantScheme scheme = mxfp4 ? QuantScheme{Format::kMxfp4, 32, DType::kU8}
                                   : QuantScheme{Format::kNvfp4, 16, DType::kF8E4M3};
  const DeviceBuffer stored = take(DeviceBuffer::allocate(kCount / 16));
  b.run(state, kCount * 4, [&] {
    return search_scales(b.in.as<float>(), kRows, kCols, scheme, 64.0F, ScaleSearch::kMse, nullptr,
                         stored.as<uint8_t>(), b.out.as<float>(), b.stream.get());
  });
}
BENCHMARK(search)->ArgName("mxfp4")->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMicrosecond);

void turn(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kF32);
  b.run(state, 2 * kCount * 4, [&] {
    return transpose(b.in.as<float>(), kRows, kCols, 0.0F, kRows, b.out.as<float>(), kRows,
                     b.stream.get());
  });
}
BENCHMARK(turn)->UseManualTime()->Unit(benchmark::kMicrosecond);

void pack(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kF32);
  const bool unpack = state.range(0) == 1;
  b.run(state, kCount * 3 / 2, [&] {
    return unpack ? unpack_columns(b.in.as<uint8_t>(), kRows, kCols, kRows, b.out.as<uint8_t>(),
                                   kRows, b.stream.get())
                  : pack_columns(b.in.as<uint8_t>(), kRows, kRows, kCols, b.out.as<uint8_t>(),
                                 b.stream.get());
  });
}
BENCHMARK(pack)->ArgName("unpack")->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace rotor::kernels
