#include "worker/bench/quantize_bench.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "kernels/activation_quant.h"
#include "kernels/cuda_status.h"
#include "kernels/hadamard.h"
#include "worker/bench/kernel_timer.h"
#include "worker/bench/rounded.h"

namespace rotor::worker::bench {
namespace {

constexpr float kGlobalScale = 448.0F;  // of random values: none saturates

class QuantizeBench {
 public:
  QuantizeBench(KernelTimer& timer, const QuantizeBenchOptions& options)
      : timer_(timer), options_(options) {}

  Result<QuantizeTime> run(int64_t rows, int64_t cols, int64_t block, Format format) {
    ROTOR_ASSIGN_OR_RETURN(const QuantScheme scheme, make_scheme(format, 0, DType::kBf16));
    kernels::RotateQuantize what{.rows = rows,
                                 .cols = cols,
                                 .block = block,
                                 .scheme = scheme,
                                 .search = options_.search,
                                 .order = options_.order};
    what.global_scale = kGlobalScale;
    const int64_t count = rows * cols;
    const int64_t scales = kernels::scale_bytes(what.order, rows, cols / scheme.group_size);
    const int64_t bytes = count * 2 + count / 2 + scales;
    const int sets = timer_.sets_of(bytes);
    ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch x, timer_.random_bf16(sets * count * 2, 1));
    ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch out, timer_.random_bytes(sets * count * 2, 2));
    ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch codes, timer_.random_bytes(sets * count / 2, 3));
    ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch stored, timer_.random_bytes(sets * scales, 4));
    const auto source = [&](int call) { return x.as<uint16_t>() + call % sets * count; };
    ROTOR_ASSIGN_OR_RETURN(const double seconds, timer_.seconds(sets, [&](int call) {
      return kernels::rotate_quantize(source(call), what,
                                      codes.as<uint8_t>() + call % sets * count / 2,
                                      stored.as<uint8_t>() + call % sets * scales, timer_.stream());
    }));
    ROTOR_ASSIGN_OR_RETURN(const double unfused, timer_.seconds(sets, [&](int call) -> Status {
      uint16_t* to = out.as<uint16_t>() + call % sets * count;
      const void* rotated = source(call);
      if (block != 1) {
        ROTOR_RETURN_IF_ERROR(kernels::rotate_rows(source(call), DType::kBf16, rows, cols, block,
                                                   to, DType::kBf16, timer_.stream()));
        rotated = to;
      }
      return kernels::fake_quantize_activations(rotated, DType::kBf16, rows, cols, scheme,
                                                kGlobalScale, to, DType::kBf16, timer_.stream());
    }));
    return QuantizeTime{rows, cols, block, format, static_cast<double>(bytes), seconds, unfused};
  }

 private:
  KernelTimer& timer_;
  const QuantizeBenchOptions& options_;
};

}  // namespace

Result<QuantizeBenchResult> run_quantize_bench(const QuantizeBenchOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(KernelTimer timer, KernelTimer::create());
  QuantizeBenchResult result;
  ROTOR_ASSIGN_OR_RETURN(result.device, timer.device_name());
  ROTOR_ASSIGN_OR_RETURN(result.copy_rate, timer.copy_rate());
  QuantizeBench bench(timer, options);
  for (const Format format : options.formats) {
    for (const int64_t block : options.blocks) {
      for (const int64_t cols : options.cols) {
        for (const int64_t rows : options.rows) {
          ROTOR_ASSIGN_OR_RETURN(const QuantizeTime time, bench.run(rows, cols, block, format));
          result.times.push_back(time);
        }
      }
    }
  }
  return result;
}

std::string quantize_bench_json(const QuantizeBenchOptions& options,
                                const QuantizeBenchResult& result) {
  using Json = nlohmann::ordered_json;
  Json json = {{"benchmark", "quantize-activations"},
               {"device", result.device},
               {"copy_gb_per_second", rounded(result.copy_rate * 1e-9)},
               {"scales", options.order == kernels::ScaleOrder::kTiles ? "tiles" : "rows"},
               {"scale_search", to_string(options.search)}};
  for (const QuantizeTime& time : result.times) {
    const double rate = time.bytes / time.seconds;
    json["times"].push_back({{"format", to_string(time.format)},
                             {"rotation", time.block},
                             {"rows", time.rows},
                             {"cols", time.cols},
                             {"seconds", rounded(time.seconds)},
                             {"gb_per_second", rounded(rate * 1e-9)},
                             {"share_of_copy", rounded(rate / result.copy_rate)},
                             {"unfused_seconds", rounded(time.unfused_seconds)},
                             {"speedup", rounded(time.unfused_seconds / time.seconds)}});
  }
  return json.dump(2);
}

}  // namespace rotor::worker::bench
