// What the benchmarks of the CUDA kernels share: TB/s, and the share of a device copy's TB/s
// measured at the program's start. Bytes are each input read once and each output written once.
// Buffers are many times the L2 cache.
#pragma once

#include <benchmark/benchmark.h>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "kernels/cuda_status.h"
#include "tests/support/kernels/device_buffer.h"
#include "kernels/stream.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kRows = 16384;
inline constexpr int64_t kCols = 8192;
inline constexpr int64_t kCount = kRows * kCols;

inline void check(const Status& status) {
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

  /// Times `enqueue` for every iteration; tells TB/s and the share of a copy's.
  template <typename F>
  void run(benchmark::State& state, int64_t bytes, F&& enqueue) {
    const double rate = static_cast<double>(bytes) / mean_seconds(state, enqueue);
    state.counters["TB/s"] = rate * 1e-12;
    state.counters["of_copy"] = rate / copy_rate;
  }

  /// The same, telling TFLOP/s.
  template <typename F>
  void run_flops(benchmark::State& state, double flops, F&& enqueue) {
    state.counters["TFLOP/s"] = flops / mean_seconds(state, enqueue) * 1e-12;
  }

 private:
  template <typename F>
  double mean_seconds(benchmark::State& state, F&& enqueue) {
    (void)seconds(enqueue);
    double total = 0.0;
    for (auto _ : state) {
      const double time = seconds(enqueue);
      state.SetIterationTime(time);
      total += time;
    }
    return total / static_cast<double>(state.iterations());
  }

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

inline Bench& bench() {
  static Bench instance;
  return instance;
}

inline DType dtype_of(int64_t half) {
  return half == 0 ? DType::kF32 : DType::kBf16;
}

}  // namespace rotor::kernels
