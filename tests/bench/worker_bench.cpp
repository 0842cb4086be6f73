// What share of OpenBLAS's own sgemm rate the CPU backend reaches: for single operations, and for a
// decoder layer with and without the Hessians of its stages. Each round runs the operation and then
// a plain sgemm on the same number of threads; both are charged by the process's CPU time, so other
// work on the machine hardly shows in `share`.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "model/architecture.h"
#include "quant/base/parallel.h"
#include "quant/format/bf16.h"
#include "worker/model/decoder.h"

namespace rotor::worker {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kTokens = 1024;
constexpr int64_t kSgemmSize = 1024;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<float> random_values(int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0F, 0.05F);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = normal(generator);
  }
  return values;
}

/// One sgemm a thread, side by side, as the backend's tiles run.
class Sgemm {
 public:
  void run() {
    constexpr auto kSize = static_cast<int>(kSgemmSize);
    pool_->for_each(kThreads, [&](int64_t i) {
      const int64_t at = i * kSgemmSize * kSgemmSize;
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, kSize, kSize, kSize, 1.0F,
                  a_.data() + at, kSize, b_.data() + at, kSize, 0.0F, c_.data() + at, kSize);
    });
  }
  static double flops() {
    return 2.0 * kThreads * static_cast<double>(kSgemmSize * kSgemmSize * kSgemmSize);
  }

 private:
  std::unique_ptr<Parallel> pool_ = make_thread_pool(kThreads);
  std::vector<float> a_ = random_values(kThreads * kSgemmSize * kSgemmSize);
  std::vector<float> b_ = a_;
  std::vector<float> c_ = a_;
};

void compare(benchmark::State& state, double flops, const std::function<Status()>& operation) {
  Sgemm sgemm;
  sgemm.run();
  double spent = 0.0;
  double spent_on_sgemm = 0.0;
  int64_t rounds = 0;
  for ([[maybe_unused]] auto _ : state) {
    const double begin = cpu_seconds();
    if (const Status status = operation(); !status.ok()) {
      state.SkipWithError(status.to_string().c_str());
      return;
    }
    const double middle = cpu_seconds();
    sgemm.run();
    spent += middle - begin;
    spent_on_sgemm += cpu_seconds() - middle;
    ++rounds;
  }
  const double rate = flops * static_cast<double>(rounds) / spent;
  const double sgemm_rate = Sgemm::flops() * static_cast<double>(rounds) / spent_on_sgemm;
  state.counters["GFLOP/s/core"] = rate * 1e-9;
  state.counters["sgemm"] = sgemm_rate * 1e-9;
  state.counters["share"] = rate / sgemm_rate;
}

Tensor random_tensor(Backend& backend, DType dtype, int64_t rows, int64_t cols) {
  const std::vector<float> values = random_values(rows * cols);
  Tensor tensor = *backend.allocate(dtype, rows, cols);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kBf16) {
      tensor.as<uint16_t>()[i] = f32_to_bf16(values[i]);
    } else {
      tensor.as<float>()[i] = values[i];
    }
  }
  return tensor;
}

void linear(benchmark::State& state) {
  const int64_t features = state.range(0);
  const int64_t depth = state.range(1);
  const auto backend = make_cpu_backend(kThreads);
  const Tensor x = random_tensor(*backend, DType::kF32, kTokens, depth);
  const Tensor weight = random_tensor(*backend, DType::kBf16, features, depth);
  const Tensor out = *backend->allocate(DType::kF32, kTokens, features);
  compare(state, 2.0 * static_cast<double>(kTokens * features * depth),
          [&] { return backend->linear(x, weight, Tensor(), out); });
}

void hessian(benchmark::State& state) {
  const int64_t width = state.range(0);
  const auto backend = make_cpu_backend(kThreads);
  const Tensor x = random_tensor(*backend, DType::kF32, kTokens, width);
  const Tensor sum = random_tensor(*backend, DType::kF32, width, width);
  compare(state, static_cast<double>(kTokens * width * (width + 1)),
          [&] { return backend->hessian_accumulate(x, sum); });
}

void attention(benchmark::State& state) {
  const AttentionShape shape{
      .sequences = 1,
      .seq_len = state.range(0),
      .heads = 8,
      .kv_heads = 4,
      .head_dim = 64,
      .scale = 0.125,
  };
  const auto backend = make_cpu_backend(kThreads);
  const Tensor q = random_tensor(*backend, DType::kF32, shape.seq_len, 512);
  const Tensor k = random_tensor(*backend, DType::kF32, shape.seq_len, 256);
  const Tensor v = random_tensor(*backend, DType::kF32, shape.seq_len, 256);
  const Tensor out = *backend->allocate(DType::kF32, shape.seq_len, 512);
  // Scores and products of the causal half.
  compare(state, 2.0 * 512.0 * static_cast<double>(shape.seq_len * shape.seq_len),
          [&] { return backend->attention(shape, q, k, v, Tensor(), out); });
}

/// The shape of a Llama of 22 million parameters.
ModelConfig layer_config() {
  ModelConfig config;
  config.model_type = "llama";
  config.hidden_size = 512;
  config.intermediate_size = 1408;
  config.num_layers = 1;
  config.num_heads = 8;
  config.num_kv_heads = 4;
  config.head_dim = 64;
  config.vocab_size = 4096;
  config.max_position_embeddings = kTokens;
  return config;
}

/// A micro-batch through a layer, stage by stage; with the Hessian of each stage if asked for.
void layer(benchmark::State& state) {
  const bool hessians = state.range(0) != 0;
  const auto backend = make_cpu_backend(kThreads);
  const Architecture architecture = *describe(layer_config());
  const Layer& shape = architecture.layers[0];
  const int64_t hidden = architecture.config.hidden_size;
  Decoder decoder = *Decoder::create(*backend, architecture.config, kTokens);
  LayerWeights weights;
  std::vector<Tensor> sums;
  std::vector<Carry> carries;
  // Scores and products of the causal half of the attention come on top of the linears.
  double flops = 2.0 * static_cast<double>(hidden * kTokens * kTokens);
  for (const Stage& stage : shape.stages) {
    StageWeights& of_stage = weights.stages.emplace_back();
    of_stage.norm = random_tensor(*backend, DType::kF32, 1, hidden);
    for (const Linear& module : stage.linears) {
      of_stage.linears.emplace_back().weight =
          random_tensor(*backend, DType::kBf16, module.out_features, module.in_features);
      flops += 2.0 * static_cast<double>(kTokens * module.out_features * module.in_features);
    }
    sums.push_back(random_tensor(*backend, DType::kF32, stage.in_features, stage.in_features));
    Carry& left = carries.emplace_back();
    for (const CarryPart& part : stage.leaves) {
      left.put(part.slot, random_tensor(*backend, DType::kF32, kTokens, part.features));
    }
    flops +=
        hessians ? static_cast<double>(kTokens * stage.in_features * (stage.in_features + 1)) : 0.0;
  }
  const Tensor x = random_tensor(*backend, DType::kF32, kTokens, hidden);
  const auto run = [&]() -> Status {
    Carry carry;
    for (size_t s = 0; s < shape.stages.size(); ++s) {
      ROTOR_ASSIGN_OR_RETURN(const RoutedRows input,
                             decoder.stage_input(shape.stages[s], weights.stages[s], x, carry));
      if (hessians) {
        ROTOR_RETURN_IF_ERROR(backend->hessian_accumulate(input.rows, sums[s]));
      }
      ROTOR_RETURN_IF_ERROR(decoder.finish_stage(shape.stages[s], weights.stages[s], {1, kTokens},
                                                 input, x, carry, &carries[s]));
      carry.pass(shape.stages[s], carries[s]);
    }
    return {};
  };
  compare(state, flops, run);
}

BENCHMARK(linear)->Args({512, 512})->Args({1408, 512})->Args({512, 1408})->Args({4096, 4096});
BENCHMARK(hessian)->Arg(512)->Arg(1408)->Arg(4096);
BENCHMARK(attention)->Arg(1024)->Arg(4096);
BENCHMARK(layer)->ArgName("hessians")->Arg(0)->Arg(1);

}  // namespace
}  // namespace rotor::worker

BENCHMARK_MAIN();
