#include "worker/backend/cpu/cpu_backend.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "quant/format/activations.h"
#include "quant/format/bf16.h"
#include "quant/rotation/hadamard.h"
#include "worker/backend/cpu/attention.h"
#include "worker/backend/cpu/cross_entropy.h"
#include "worker/backend/cpu/divergence.h"
#include "worker/backend/cpu/elementwise.h"
#include "worker/backend/cpu/gemm.h"
#include "worker/backend/cpu/routing.h"
#include "worker/backend/operands.h"
#include "worker/backend/routing.h"

namespace rotor::worker {
namespace cpu {
namespace {

int usable_threads(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

WeightView view(const Tensor& weight) {
  return {weight.data(), weight.dtype(), weight.rows(), weight.cols()};
}

/// Host memory is where it is wanted already.
class HostDownload final : public Download {
 public:
  explicit HostDownload(Tensor tensor) : tensor_(std::move(tensor)) {}
  Status take(void* dst, size_t bytes) override {
    ROTOR_RETURN_IF_ERROR(expect(bytes == tensor_.bytes(), "download"));
    if (bytes > 0) {
      std::memcpy(dst, tensor_.data(), bytes);
    }
    return {};
  }

 private:
  Tensor tensor_;
};

}  // namespace

CpuBackend::CpuBackend(int threads, int64_t memory_limit)
    : parallel_(make_thread_pool(usable_threads(threads))) {
  if (memory_limit > 0) {
    limit_ = std::make_shared<MemoryLimit>(memory_limit);
  }
  // A threaded OpenBLAS would cut its sums by the number of threads.
  openblas_set_num_threads(1);
}

DeviceInfo CpuBackend::info() const {
  return {"cpu", host_memory().total};
}

int64_t CpuBackend::memory_left() const {
  return limit_ == nullptr ? 0 : std::max<int64_t>(limit_->bytes - limit_->used, 1);
}

Result<Tensor> CpuBackend::allocate(DType dtype, int64_t rows, int64_t cols) {
  ROTOR_RETURN_IF_ERROR(expect(rows >= 0 && cols >= 0, "allocate"));
  ROTOR_ASSIGN_OR_RETURN(
      auto buffer,
      cpu::allocate_host(static_cast<size_t>(rows * cols * dtype_size(dtype)), limit_));
  return Tensor(dtype, rows, cols, std::move(buffer));
}

Result<std::shared_ptr<Buffer>> CpuBackend::allocate_host(size_t bytes) {
  return cpu::allocate_host(bytes);
}

Status CpuBackend::upload(const void* src, size_t bytes, const Tensor& dst) {
  ROTOR_RETURN_IF_ERROR(expect(bytes == dst.bytes(), "upload"));
  if (bytes > 0) {
    std::memcpy(dst.data(), src, bytes);
  }
  return {};
}

Status CpuBackend::download(const Tensor& src, void* dst, size_t bytes) {
  ROTOR_RETURN_IF_ERROR(expect(bytes == src.bytes(), "download"));
  if (bytes > 0) {
    std::memcpy(dst, src.data(), bytes);
  }
  return {};
}

Result<std::unique_ptr<Download>> CpuBackend::begin_download(const Tensor& src) {
  return std::unique_ptr<Download>(std::make_unique<HostDownload>(src));
}

Status CpuBackend::copy(const Tensor& src, const Tensor& dst) {
  ROTOR_RETURN_IF_ERROR(expect(
      src.dtype() == dst.dtype() && src.rows() == dst.rows() && src.cols() == dst.cols(), "copy"));
  return upload(src.data(), src.bytes(), dst);
}

Status CpuBackend::for_each(int64_t count, const std::function<Status(Backend&, int64_t)>& piece) {
  // Whole problems side by side: those that ask for this are too small to be cut up.
  while (std::ssize(idle_) < std::min<int64_t>(parallel_->threads(), count)) {
    idle_.push_back(std::make_unique<CpuBackend>(1, 0));
    idle_.back()->limit_ = limit_;
  }
  std::vector<Status> statuses(static_cast<size_t>(count));
  parallel_->for_each(count, [&](int64_t i) {
    std::unique_ptr<CpuBackend> mine;
    {
      const std::lock_guard lock(idle_mutex_);
      mine = std::move(idle_.back());
      idle_.pop_back();
    }
    statuses[static_cast<size_t>(i)] = piece(*mine, i);
    const std::lock_guard lock(idle_mutex_);
    idle_.push_back(std::move(mine));
  });
  for (Status& status : statuses) {
    ROTOR_RETURN_IF_ERROR(std::move(status));
  }
  return {};
}

Result<const float*> CpuBackend::widened(const Tensor& vector, std::vector<float>& storage) {
  if (vector.dtype() == DType::kF32) {
    return static_cast<const float*>(vector.as<float>());
  }
  storage.resize(static_cast<size_t>(vector.size()));
  ROTOR_RETURN_IF_ERROR(widen_to_f32(vector.data(), vector.dtype(), vector.size(), storage.data()));
  return static_cast<const float*>(storage.data());
}

Status CpuBackend::embed(const Tensor& table, std::span<const int32_t> ids, float scale,
                         const Tensor& out) {
  const auto tokens = static_cast<int64_t>(ids.size());
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(out, tokens, table.cols()) && is_wide_float(table.dtype()), "embed"));
  for (int64_t t = 0; t < tokens; ++t) {
    const int32_t id = ids[static_cast<size_t>(t)];
    if (id < 0 || id >= table.rows()) {
      return invalid_argument("token id " + std::to_string(id) + " at position " +
                              std::to_string(t) + " is outside the vocabulary of " +
                              std::to_string(table.rows()) +
                              ": was the text cut with another model's tokenizer?")
          .with_reason("BAD_TOKEN_ID");
    }
    float* row = out.row_range(t, 1).as<float>();
    ROTOR_RETURN_IF_ERROR(
        widen_to_f32(table.row_range(id, 1).data(), table.dtype(), table.cols(), row));
    std::transform(row, row + table.cols(), row, [&](float value) { return value * scale; });
  }
  return {};
}

Status CpuBackend::rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(x, out.rows(), weight.size()) && is_f32(out, x.rows(), x.cols()), "rms_norm"));
  std::vector<float> storage;
  ROTOR_ASSIGN_OR_RETURN(const float* scale, widened(weight, storage));
  cpu::rms_norm(x.as<float>(), x.rows(), x.cols(), scale, eps, out.as<float>(), *parallel_);
  return {};
}

Status CpuBackend::linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(x, out.rows(), weight.cols()) && is_f32(out, x.rows(), weight.rows()) &&
                 is_wide_float(weight.dtype()) && (bias.empty() || bias.size() == weight.rows()),
             "linear"));
  std::vector<float> storage;
  const float* offsets = nullptr;
  if (!bias.empty()) {
    ROTOR_ASSIGN_OR_RETURN(offsets, widened(bias, storage));
  }
  multiply(x.as<float>(), x.rows(), view(weight), offsets, out.as<float>(), scratch_, *parallel_);
  return {};
}

Status CpuBackend::rope(const Tensor& x, const RopeShape& shape, const Tensor& cos,
                        const Tensor& sin) {
  ROTOR_RETURN_IF_ERROR(expect(x.dtype() == DType::kF32 && fits_rope(x, shape, cos, sin), "rope"));
  cpu::rope(x.as<float>(), x.rows(), x.cols() / shape.head_dim, shape, cos.as<float>(),
            sin.as<float>(), cos.cols(), *parallel_);
  return {};
}

Status CpuBackend::copy_columns(const Tensor& in, const ColumnRuns& from, const Tensor& out,
                                const ColumnRuns& to, int64_t heads, int64_t width) {
  ROTOR_RETURN_IF_ERROR(expect(in.dtype() == DType::kF32 && out.dtype() == DType::kF32 &&
                                   in.rows() == out.rows() && fits_runs(in, from, heads, width) &&
                                   fits_runs(out, to, heads, width),
                               "copy_columns"));
  cpu::copy_columns(in.as<float>(), in.cols(), from, out.as<float>(), out.cols(), to, in.rows(),
                    heads, width, *parallel_);
  return {};
}

Status CpuBackend::attention(const AttentionShape& shape, const Tensor& q, const Tensor& k,
                             const Tensor& v, const Tensor& sinks, const Tensor& out) {
  const int64_t tokens = shape.sequences * shape.seq_len;
  const int64_t q_width = shape.heads * shape.head_dim;
  const int64_t k_width = shape.kv_heads * shape.head_dim;
  const int64_t v_width = shape.kv_heads * shape.value_features();
  const int64_t out_width = shape.heads * shape.value_features();
  ROTOR_RETURN_IF_ERROR(expect(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 &&
                                   is_f32(q, tokens, q_width) && is_f32(k, tokens, k_width) &&
                                   is_f32(v, tokens, v_width) && is_f32(out, tokens, out_width) &&
                                   (sinks.empty() || sinks.size() == shape.heads),
                               "attention"));
  std::vector<float> storage;
  const float* of_heads = nullptr;
  if (!sinks.empty()) {
    ROTOR_ASSIGN_OR_RETURN(of_heads, widened(sinks, storage));
  }
  causal_attention(shape, q.as<float>(), k.as<float>(), v.as<float>(), of_heads, out.as<float>(),
                   scratch_, *parallel_);
  return {};
}

Status CpuBackend::gated_activation(const GatedActivation& activation, const Tensor& gate,
                                    const Tensor& up, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(is_f32(gate, out.rows(), out.cols()) &&
                                   is_f32(up, out.rows(), out.cols()) && out.dtype() == DType::kF32,
                               "gated_activation"));
  gated_product(activation, gate.as<float>(), up.as<float>(), out.size(), out.as<float>(),
                *parallel_);
  return {};
}

Status CpuBackend::add(const Tensor& x, const Tensor& y, float scale) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(x, y.rows(), y.cols()) && is_f32(y, x.rows(), x.cols()), "add"));
  cpu::add(x.as<float>(), y.as<float>(), scale, x.size(), *parallel_);
  return {};
}

Result<Routing> CpuBackend::route(const Tensor& x, const RouterWeights& router,
                                  const RoutingRule& rule) {
  ROTOR_RETURN_IF_ERROR(expect(fits_rule(router, rule), "route"));
  const int64_t tokens = x.rows();
  ROTOR_ASSIGN_OR_RETURN(const Tensor logits, allocate(DType::kF32, tokens, rule.experts));
  ROTOR_RETURN_IF_ERROR(linear(x, router.weight, router.bias, logits));
  std::vector<float> storage;
  const float* correction = nullptr;
  if (rule.corrected) {
    ROTOR_ASSIGN_OR_RETURN(correction, widened(router.correction, storage));
  }
  Routing routing;
  ROTOR_ASSIGN_OR_RETURN(routing.weights, allocate(DType::kF32, tokens, rule.per_token));
  std::vector<int32_t> choices(static_cast<size_t>(tokens * rule.per_token));
  choose_experts(logits.as<float>(), tokens, rule, correction, choices.data(),
                 routing.weights.as<float>(), *parallel_);
  const RowOrder order = order_rows(choices, rule.per_token, rule.experts);
  routing.begin = order.begin;
  ROTOR_ASSIGN_OR_RETURN(routing.tokens, allocate(DType::kI32, tokens * rule.per_token, 1));
  ROTOR_ASSIGN_OR_RETURN(routing.places, allocate(DType::kI32, tokens, rule.per_token));
  ROTOR_RETURN_IF_ERROR(upload(order.tokens.data(), routing.tokens.bytes(), routing.tokens));
  ROTOR_RETURN_IF_ERROR(upload(order.places.data(), routing.places.bytes(), routing.places));
  return routing;
}

Status CpuBackend::gather_rows(const Tensor& x, const Tensor& rows, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(
      x.dtype() == DType::kF32 && rows.dtype() == DType::kI32 && is_f32(out, rows.size(), x.cols()),
      "gather_rows"));
  cpu::gather_rows(x.as<float>(), x.cols(), rows.as<int32_t>(), rows.size(), out.as<float>(),
                   *parallel_);
  return {};
}

Status CpuBackend::add_routed(const Tensor& x, const Tensor& y, const Routing& routing) {
  const int64_t per_token = routing.places.cols();
  ROTOR_RETURN_IF_ERROR(expect(is_f32(x, routing.places.rows(), y.cols()) &&
                                   is_f32(y, routing.tokens.rows(), x.cols()) &&
                                   is_f32(routing.weights, x.rows(), per_token),
                               "add_routed"));
  cpu::add_routed(x.as<float>(), x.rows(), x.cols(), y.as<float>(), routing.places.as<int32_t>(),
                  routing.weights.as<float>(), per_token, *parallel_);
  return {};
}

Result<std::vector<double>> CpuBackend::next_token_losses(const Tensor& x, const Tensor& head,
                                                          std::span<const int32_t> ids,
                                                          int64_t seq_len, double soft_cap) {
  const auto tokens = static_cast<int64_t>(ids.size());
  ROTOR_RETURN_IF_ERROR(expect(is_f32(x, tokens, head.cols()) && is_wide_float(head.dtype()) &&
                                   seq_len > 0 && tokens % seq_len == 0,
                               "next_token_losses"));
  return cpu::next_token_losses(x.as<float>(), view(head), ids, seq_len,
                                static_cast<float>(soft_cap), scratch_, *parallel_);
}

Result<ComparedPredictions> CpuBackend::compare_predictions(const Logits& source,
                                                            const Logits& other,
                                                            std::span<const int32_t> ids,
                                                            int64_t seq_len) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const auto fits = [&](const Logits& logits) {
    return is_f32(logits.x, tokens, logits.head.cols()) && is_wide_float(logits.head.dtype()) &&
           logits.head.rows() == source.head.rows();
  };
  ROTOR_RETURN_IF_ERROR(expect(fits(source) && fits(other) && seq_len > 0 && tokens % seq_len == 0,
                               "compare_predictions"));
  const auto rows_of = [](const Logits& logits) {
    return cpu::LogitRows{logits.x.as<float>(), view(logits.head),
                          static_cast<float>(logits.soft_cap)};
  };
  return cpu::compare_predictions(rows_of(source), rows_of(other), ids, seq_len, scratch_,
                                  *parallel_);
}

Status CpuBackend::rotate(const Tensor& x, int64_t block, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(is_f32(out, x.rows(), x.cols()), "rotate"));
  if (block == 1) {
    return widen_to_f32(x.data(), x.dtype(), x.size(), out.as<float>());
  }
  return rotate_rows(x.data(), x.dtype(), x.rows(), x.cols(), block, out.as<float>(), *parallel_);
}

Status CpuBackend::quantize_activations(const Tensor& x, const ActivationQuant& quant,
                                        const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(is_f32(x, out.rows(), out.cols()) && out.dtype() == DType::kF32 &&
                                   quant.scheme.group_size > 0 &&
                                   x.cols() % quant.scheme.group_size == 0,
                               "quantize_activations"));
  fake_quantize_activations(x.as<float>(), x.rows(), x.cols(), quant.scheme,
                            quant.input_global_scale, out.as<float>(), *parallel_);
  return {};
}

Status CpuBackend::add_squared_differences(const Tensor& x, const Tensor& y, const Tensor& sums) {
  ROTOR_RETURN_IF_ERROR(expect(
      is_f32(x, y.rows(), y.cols()) && is_f32(y, x.rows(), x.cols()) && is_f32(sums, 1, x.cols()),
      "add_squared_differences"));
  cpu::add_squared_differences(x.as<float>(), y.as<float>(), x.rows(), x.cols(), sums.as<float>(),
                               *parallel_);
  return {};
}

Result<float> CpuBackend::max_abs(const Tensor& x) {
  ROTOR_RETURN_IF_ERROR(expect(is_wide_float(x.dtype()), "max_abs"));
  std::vector<float> storage;
  ROTOR_ASSIGN_OR_RETURN(const float* values, widened(x, storage));
  return cpu::max_abs(values, x.size(), *parallel_);
}

Status CpuBackend::fold_max_abs(const Tensor& x, const Tensor& running) {
  ROTOR_RETURN_IF_ERROR(expect(is_f32(running, 1, 1), "fold_max_abs"));
  ROTOR_ASSIGN_OR_RETURN(const float largest, max_abs(x));
  float* folded = running.as<float>();
  if (!(largest <= *folded) && !std::isnan(*folded)) {
    *folded = largest;
  }
  return {};
}

}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(int threads, int64_t memory_limit) {
  return std::make_unique<cpu::CpuBackend>(threads, memory_limit);
}

}  // namespace rotor::worker
