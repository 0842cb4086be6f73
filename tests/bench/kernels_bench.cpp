// How fast the kernels move data that take the place of quant/ on the GPU.
#include "tests/bench/kernels_bench.h"

#include "kernels/activation_quant.h"
#include "kernels/dequantize.h"
#include "kernels/hadamard.h"
#include "quant/scheme.h"

namespace rotor::kernels {
namespace {

void copy(benchmark::State& state) {
  Bench& b = bench();
  b.fill(DType::kF32);
  b.run(state, 2 * b.in.bytes(), [&] {
    return ROTOR_CUDA(cudaMemcpyAsync(b.out.data(), b.in.data(), static_cast<size_t>(b.in.bytes()),
                                      cudaMemcpyDeviceToDevice, b.stream.get()));
  });
}
BENCHMARK(copy)->UseManualTime()->Unit(benchmark::kMicrosecond);

void rotate(benchmark::State& state) {
  Bench& b = bench();
  const DType in = dtype_of(state.range(1));
  const DType out = dtype_of(state.range(2));
  b.fill(in);
  b.run(state, kCount * (dtype_size(in) + dtype_size(out)), [&] {
    return rotate_rows(b.in.data(), in, kRows, kCols, state.range(0), b.out.data(), out,
                       b.stream.get());
  });
}
BENCHMARK(rotate)
    ->ArgNames({"block", "bf16_in", "bf16_out"})
    ->ArgsProduct({{16, 32, 64, 128, 256}, {0, 1}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void fake_quantize(benchmark::State& state) {
  Bench& b = bench();
  const auto format = static_cast<Format>(state.range(0));
  const QuantScheme scheme = *make_scheme(format, 0, DType::kBf16);
  const DType dtype = dtype_of(state.range(1));
  b.fill(dtype);
  b.run(state, 2 * kCount * dtype_size(dtype), [&] {
    return fake_quantize_activations(b.in.data(), dtype, kRows, kCols, scheme, 400.0F, b.out.data(),
                                     dtype, b.stream.get());
  });
}
BENCHMARK(fake_quantize)
    ->ArgNames({"format", "bf16"})
    ->ArgsProduct({{0, 1, 2}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

void dequantize(benchmark::State& state) {
  Bench& b = bench();
  const auto format = static_cast<Format>(state.range(0));
  const int64_t group = make_scheme(format, 0, DType::kBf16)->group_size;
  const DType dtype = dtype_of(state.range(1));
  b.fill(DType::kF32);
  // The first half of the input serves as codes, what follows as scales.
  const auto* codes = b.in.as<uint8_t>();
  const float* scales = b.in.as<float>() + kCount / 2;
  b.run(state, kCount / 2 + kCount / group * 4 + kCount * dtype_size(dtype), [&] {
    return dequantize_codes(format, group, codes, scales, kRows, kCols, b.out.data(), dtype,
                            b.stream.get());
  });
}
BENCHMARK(dequantize)
    ->ArgNames({"format", "bf16"})
    ->ArgsProduct({{0, 1, 2}, {0, 1}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace rotor::kernels
