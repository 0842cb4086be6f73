// How fast the CUDA kernels move data: TB/s, and the share of a device copy's TB/s measured at the
// program's start. Bytes are each input read once and each output written once. Buffers are many
// times the L2 cache.
#include <benchmark/benchmark.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/activation_quant.h"
#include "kernels/cuda_status.h"
#include "kernels/dequantize.h"
#include "kernels/device_buffer.h"
#include "kernels/hadamard.h"
#include "kernels/stream.h"

namespace rotor::kernels {
namespace {

constexpr int64_t kRows = 16384;
constexpr int64_t kCols = 8192;
constexpr int64_t kCount = kRows * kCols;

void check(const Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.to_string().c_str());
    std::exit(1);
  }
}

template <typename T>
T take(Result<T> result) {
  check(result.status());
  return std::move(result).value();
}

/// What all benchmarks share: random input, room for output, a stream and its events.
struct Bench {
  Stream stream = take(Stream::create());
  DeviceBuffer in = take(DeviceBuffer::allocate(kCount * 4));
  DeviceBuffer out = take(DeviceBuffer::allocate(kCount * 4));
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  double copy_rate = 0.0;  // bytes a second

  Bench() {
    check(ROTOR_CUDA(cudaEventCreate(&begin)));
    check(ROTOR_CUDA(cudaEventCreate(&end)));
    copy_rate = measure_copy();
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    (void)cudaEventDestroy(begin);
    (void)cudaEventDestroy(end);
  }

  /// Random values in `dtype`, one piece over and over.
  void fill(DType dtype) {
    constexpr int64_t kPiece = 1 << 22;
    std::mt19937 generator(std::random_device{}());
    std::normal_distribution<float> normal;
    std::vector<uint16_t> halves(kPiece);
    std::vector<float> values(kPiece);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = normal(generator);
      halves[i] = f32_high_half(values[i]);
    }
    const int64_t bytes = kPiece * dtype_size(dtype);
    const void* piece = dtype == DType::kBf16 ? static_cast<const void*>(halves.data())
                                              : static_cast<const void*>(values.data());
    for (int64_t at = 0; at < kCount * dtype_size(dtype); at += bytes) {
      check(ROTOR_CUDA(cudaMemcpyAsync(in.as<char>() + at, piece, static_cast<size_t>(bytes),
                                       cudaMemcpyHostToDevice, stream.get())));
    }
    check(stream.synchronize());
  }

  template <typename F>
  double seconds(F&& enqueue) {
    check(ROTOR_CUDA(cudaEventRecord(begin, stream.get())));
    check(enqueue());
    check(ROTOR_CUDA(cudaEventRecord(end, stream.get())));
    check(stream.synchronize());
    float milliseconds = 0.0F;
    check(ROTOR_CUDA(cudaEventElapsedTime(&milliseconds, begin, end)));
    return static_cast<double>(milliseconds) * 1e-3;
  }

  template <typename F>
  void run(benchmark::State& state, int64_t bytes, F&& enqueue) {
    (void)seconds(enqueue);
    double total = 0.0;
    for (auto _ : state) {
      const double time = seconds(enqueue);
      state.SetIterationTime(time);
      total += time;
    }
    const double rate =
        static_cast<double>(bytes) * static_cast<double>(state.iterations()) / total;
    state.counters["TB/s"] = rate * 1e-12;
    state.counters["of_copy"] = rate / copy_rate;
  }

 private:
  static uint16_t f32_high_half(float value) {
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }

  double measure_copy() {
    fill(DType::kF32);
    const auto copy = [&] {
      return ROTOR_CUDA(cudaMemcpyAsync(out.data(), in.data(), static_cast<size_t>(in.bytes()),
                                        cudaMemcpyDeviceToDevice, stream.get()));
    };
    (void)seconds(copy);
    constexpr int kRepeats = 20;
    double total = 0.0;
    for (int i = 0; i < kRepeats; ++i) {
      total += seconds(copy);
    }
    return 2.0 * static_cast<double>(in.bytes()) * kRepeats / total;
  }
};

Bench& bench() {
  static Bench instance;
  return instance;
}

DType dtype_of(int64_t half) {
  return half == 0 ? DType::kF32 : DType::kBf16;
}

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
  const int64_t group = make_scheme(format, 0, DType::kBf16)->group_size;
  const DType dtype = dtype_of(state.range(1));
  b.fill(dtype);
  b.run(state, 2 * kCount * dtype_size(dtype), [&] {
    return fake_quantize_activations(b.in.data(), dtype, kRows, kCols, format, group, 400.0F,
                                     b.out.data(), dtype, b.stream.get());
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
