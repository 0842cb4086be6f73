#include "worker/bench/gemm_bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "kernels/cuda_status.h"
#include "kernels/gemm.h"
#include "kernels/packed_gemm.h"
#include "worker/bench/kernel_timer.h"
#include "worker/bench/rounded.h"

namespace rotor::worker::bench {
namespace {

using kernels::Scratch;

class GemmBench {
 public:
  GemmBench(KernelTimer& timer, kernels::Gemm& gemm) : timer_(timer), gemm_(gemm) {}

  /// Weights of a shape in a format; random codes and scales time as any others do.
  Status prepare(const LinearShape& shape, Format format) {
    shape_ = shape;
    format_ = format;
    ROTOR_ASSIGN_OR_RETURN(const QuantScheme scheme, make_scheme(format, 0, DType::kBf16));
    ROTOR_ASSIGN_OR_RETURN(bytes_, kernels::packed_weight_bytes(scheme, shape.rows, shape.cols));
    sets_ = timer_.sets_of(bytes_);
    ROTOR_ASSIGN_OR_RETURN(packed_, timer_.random_bytes(sets_ * bytes_, 1));
    weights_.clear();
    for (int set = 0; set < sets_; ++set) {
      weights_.push_back(
          {scheme, shape.rows, shape.cols, 1.0F, packed_.as<uint8_t>() + set * bytes_});
    }
    const int64_t plain = shape.rows * shape.cols * 2;
    plain_sets_ = timer_.sets_of(plain);
    ROTOR_ASSIGN_OR_RETURN(plain_, timer_.random_bf16(plain_sets_ * plain, 2));
    return {};
  }

  Result<GemmTime> run(int64_t m) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t workspace_bytes,
                           kernels::packed_gemm_workspace(m, shape_.rows, shape_.cols));
    ROTOR_ASSIGN_OR_RETURN(const Scratch workspace,
                           Scratch::allocate(workspace_bytes, timer_.stream()));
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemsetAsync(
        workspace.data(), 0, static_cast<size_t>(workspace_bytes), timer_.stream())));
    ROTOR_ASSIGN_OR_RETURN(const Scratch x, timer_.random_bf16(m * shape_.cols * 2, 3));
    ROTOR_ASSIGN_OR_RETURN(const Scratch out, timer_.random_bf16(m * shape_.rows * 2, 4));
    ROTOR_ASSIGN_OR_RETURN(const double seconds, timer_.seconds(sets_, [&](int call) {
      return kernels::packed_gemm(gemm_, x.data(), m, weights_[static_cast<size_t>(call % sets_)],
                                  out.data(), workspace.data(), workspace_bytes, timer_.stream());
    }));
    ROTOR_ASSIGN_OR_RETURN(const double bf16, timer_.seconds(plain_sets_, [&](int call) {
      const int64_t at = call % plain_sets_ * shape_.rows * shape_.cols;
      kernels::GemmCall product;
      product.m = m;
      product.n = shape_.rows;
      product.k = shape_.cols;
      product.a = {.data = x.data(), .ld = shape_.cols};
      product.b = {.data = plain_.as<uint16_t>() + at, .ld = shape_.cols, .transposed = true};
      product.out = out.data();
      product.out_ld = shape_.rows;
      return gemm_.run(product, timer_.stream());
    }));
    return GemmTime{shape_, format_, m, static_cast<double>(bytes_), seconds, bf16};
  }

 private:
  KernelTimer& timer_;
  kernels::Gemm& gemm_;
  LinearShape shape_;
  Format format_ = Format::kNvfp4;
  int64_t bytes_ = 0;
  int sets_ = 0;
  Scratch packed_;
  std::vector<kernels::PackedWeight> weights_;
  int plain_sets_ = 0;
  Scratch plain_;
};

}  // namespace

std::vector<LinearShape> linear_shapes() {
  return {{"llama-70b qkv", 10240, 8192},     {"llama-70b o", 8192, 8192},
          {"llama-70b gate_up", 57344, 8192}, {"llama-70b down", 8192, 28672},
          {"qwen3-32b qkv", 10240, 5120},     {"qwen3-32b o", 5120, 8192},
          {"qwen3-32b gate_up", 51200, 5120}, {"qwen3-32b down", 5120, 25600}};
}

Result<GemmBenchResult> run_gemm_bench(const GemmBenchOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(KernelTimer timer, KernelTimer::create());
  ROTOR_ASSIGN_OR_RETURN(kernels::Gemm gemm, kernels::Gemm::create(timer.stream()));
  GemmBenchResult result;
  ROTOR_ASSIGN_OR_RETURN(result.device, timer.device_name());
  ROTOR_ASSIGN_OR_RETURN(result.copy_rate, timer.copy_rate());
  GemmBench bench(timer, gemm);
  for (const LinearShape& shape : options.shapes) {
    for (const Format format : options.formats) {
      ROTOR_RETURN_IF_ERROR(bench.prepare(shape, format));
      for (const int64_t m : options.counts) {
        ROTOR_ASSIGN_OR_RETURN(GemmTime time, bench.run(m));
        result.times.push_back(std::move(time));
      }
    }
  }
  return result;
}

std::string gemm_bench_json(const GemmBenchResult& result) {
  using Json = nlohmann::ordered_json;
  Json json = {{"benchmark", "gemm"},
               {"device", result.device},
               {"copy_gb_per_second", rounded(result.copy_rate * 1e-9)}};
  for (const GemmTime& time : result.times) {
    const double rate = time.weight_bytes / time.seconds;
    const double flops = 2.0 * static_cast<double>(time.m) * static_cast<double>(time.shape.rows) *
                         static_cast<double>(time.shape.cols);
    json["times"].push_back({{"shape", time.shape.name},
                             {"n", time.shape.rows},
                             {"k", time.shape.cols},
                             {"format", to_string(time.format)},
                             {"m", time.m},
                             {"seconds", rounded(time.seconds)},
                             {"weight_gb_per_second", rounded(rate * 1e-9)},
                             {"share_of_copy", rounded(rate / result.copy_rate)},
                             {"tflops", rounded(flops / time.seconds * 1e-12)},
                             {"bf16_seconds", rounded(time.bf16_seconds)},
                             {"speedup", rounded(time.bf16_seconds / time.seconds)}});
  }
  return json.dump(2);
}

}  // namespace rotor::worker::bench
