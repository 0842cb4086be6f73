// The part of the CUDA backend that runs the decoder.
#include <algorithm>
#include <string>

#include "kernels/activation_quant.h"
#include "kernels/attention.h"
#include "kernels/columns.h"
#include "kernels/cross_entropy.h"
#include "kernels/cuda_status.h"
#include "kernels/divergence.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/hadamard.h"
#include "kernels/reductions.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/scratch.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/backend/operands.h"
#include "worker/backend/predicted_id.h"

namespace rotor::worker::cuda {
namespace {

constexpr int64_t kLogitBytes = int64_t{256} << 20;  // logits that are kept at a time

template <typename T>
Result<kernels::Scratch> uploaded(std::span<const T> values, cudaStream_t stream) {
  const auto bytes = static_cast<int64_t>(values.size_bytes());
  ROTOR_ASSIGN_OR_RETURN(kernels::Scratch memory, kernels::Scratch::allocate(bytes, stream));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemcpyAsync(
      memory.data(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice, stream)));
  return memory;
}

/// Rows whose logits are made at once.
int64_t logit_rows(int64_t tokens, int64_t vocabulary) {
  return std::clamp<int64_t>(kLogitBytes / (vocabulary * dtype_size(DType::kF32)), 1,
                             std::max<int64_t>(tokens, 1));
}

/// What each row predicts.
std::vector<int32_t> next_ids(std::span<const int32_t> ids, int64_t seq_len) {
  std::vector<int32_t> targets(ids.size());
  for (int64_t row = 0; row < std::ssize(ids); ++row) {
    targets[static_cast<size_t>(row)] = predicted_id(ids, seq_len, row);
  }
  return targets;
}

}  // namespace

Result<Tensor> CudaBackend::converted(const Tensor& tensor, DType dtype) {
  if (tensor.empty() || tensor.dtype() == dtype) {
    return tensor;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor out, allocate(dtype, tensor.rows(), tensor.cols()));
  ROTOR_RETURN_IF_ERROR(
      kernels::convert(tensor.data(), tensor.dtype(), tensor.size(), out.data(), dtype, stream()));
  return out;
}

Status CudaBackend::embed(const Tensor& table, std::span<const int32_t> ids, float scale,
                          const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(is_wide_float(table.dtype()) && table.cols() == out.cols() &&
                                   out.rows() == static_cast<int64_t>(ids.size()),
                               "embed"));
  for (const int32_t id : ids) {
    if (id < 0 || id >= table.rows()) {
      return invalid_argument("token id " + std::to_string(id) + " with a vocabulary of " +
                              std::to_string(table.rows()))
          .with_reason("BAD_TOKEN_ID");
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch device_ids, uploaded(ids, stream()));
  return kernels::embed_rows(table.data(), table.dtype(), table.rows(), table.cols(),
                             device_ids.as<int32_t>(), out.rows(), scale, out.data(), out.dtype(),
                             stream());
}

Status CudaBackend::rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(x.dtype() == out.dtype() && x.rows() == out.rows() &&
                                   x.cols() == out.cols() && weight.size() == x.cols() &&
                                   is_wide_float(weight.dtype()),
                               "rms_norm"));
  return kernels::rms_norm(x.data(), x.dtype(), x.rows(), x.cols(), weight.data(), weight.dtype(),
                           eps, out.data(), stream());
}

Status CudaBackend::linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(x.dtype() == DType::kBf16 && out.dtype() == DType::kBf16 &&
                                   x.rows() == out.rows() && x.cols() == weight.cols() &&
                                   out.cols() == weight.rows() &&
                                   (bias.empty() || bias.size() == out.cols()),
                               "linear"));
  ROTOR_ASSIGN_OR_RETURN(const Tensor factor, converted(weight, DType::kBf16));
  ROTOR_ASSIGN_OR_RETURN(const Tensor offset, converted(bias, DType::kBf16));
  kernels::GemmCall call;
  call.m = x.rows();
  call.n = out.cols();
  call.k = x.cols();
  call.a = {x.data(), x.cols(), false};
  call.b = {factor.data(), x.cols(), true};
  call.out = out.data();
  call.out_ld = out.cols();
  call.bias = offset.data();
  // What a token gives does not depend on how many go through together, so that a micro-batch may
  // run in steps. (Widths that are no multiple of 4 have no algorithm for every number of rows.)
  call.any_m = x.cols() % 4 == 0 && out.cols() % 4 == 0;
  return gemm_.run(call, stream());
}

Status CudaBackend::rope(const Tensor& x, const RopeShape& shape, const Tensor& cos,
                         const Tensor& sin) {
  ROTOR_RETURN_IF_ERROR(expect(fits_rope(x, shape, cos, sin), "rope"));
  const kernels::RopeProblem problem{.rows = x.rows(),
                                     .heads = x.cols() / shape.head_dim,
                                     .head_dim = shape.head_dim,
                                     .rotary = 2 * cos.cols(),
                                     .seq_len = shape.seq_len,
                                     .first = shape.first,
                                     .interleaved = shape.interleaved};
  return kernels::rope(x.data(), x.dtype(), problem, cos.as<float>(), sin.as<float>(), stream());
}

Status CudaBackend::copy_columns(const Tensor& in, const ColumnRuns& from, const Tensor& out,
                                 const ColumnRuns& to, int64_t heads, int64_t width) {
  ROTOR_RETURN_IF_ERROR(expect(in.dtype() == out.dtype() && in.rows() == out.rows() &&
                                   fits_runs(in, from, heads, width) &&
                                   fits_runs(out, to, heads, width),
                               "copy_columns"));
  return kernels::copy_columns(in.data(), {in.cols(), from.first, from.step}, out.data(),
                               {out.cols(), to.first, to.step}, in.dtype(), in.rows(), heads, width,
                               stream());
}

Status CudaBackend::attention(const AttentionShape& shape, const Tensor& q, const Tensor& k,
                              const Tensor& v, const Tensor& sinks, const Tensor& out) {
  const int64_t tokens = shape.sequences * shape.seq_len;
  const auto fits = [&](const Tensor& x, int64_t cols) {
    return x.dtype() == DType::kBf16 && x.rows() == tokens && x.cols() == cols;
  };
  ROTOR_RETURN_IF_ERROR(expect(fits(q, shape.heads * shape.head_dim) &&
                                   fits(k, shape.kv_heads * shape.head_dim) &&
                                   fits(v, shape.kv_heads * shape.value_features()) &&
                                   fits(out, shape.heads * shape.value_features()) &&
                                   (sinks.empty() || sinks.size() == shape.heads),
                               "attention"));
  ROTOR_ASSIGN_OR_RETURN(const Tensor of_heads, converted(sinks, DType::kF32));
  const kernels::AttentionProblem problem{.sequences = shape.sequences,
                                          .seq_len = shape.seq_len,
                                          .heads = shape.heads,
                                          .kv_heads = shape.kv_heads,
                                          .head_dim = shape.head_dim,
                                          .scale = static_cast<float>(shape.scale),
                                          .sliding_window = shape.sliding_window,
                                          .soft_cap = static_cast<float>(shape.soft_cap),
                                          .sinks = of_heads.as<float>(),
                                          .value_dim = shape.value_features()};
  return kernels::causal_attention(problem, q.data(), k.data(), v.data(), out.data(), stream());
}

Status CudaBackend::gated_activation(const GatedActivation& activation, const Tensor& gate,
                                     const Tensor& up, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(gate.bytes() == out.bytes() && up.bytes() == out.bytes() &&
                                   gate.dtype() == up.dtype() && gate.dtype() == out.dtype(),
                               "gated_activation"));
  switch (activation.kind) {
    case ActivationKind::kSilu:
      return kernels::silu_product(gate.data(), up.data(), gate.dtype(), gate.size(), out.data(),
                                   stream());
    case ActivationKind::kGeluTanh:
      return kernels::gelu_tanh_product(gate.data(), up.data(), gate.dtype(), gate.size(),
                                        out.data(), stream());
    case ActivationKind::kClampedSwiglu:
      return kernels::clamped_swiglu(gate.data(), up.data(), gate.dtype(), gate.size(),
                                     activation.alpha, activation.limit, out.data(), stream());
  }
  return internal_error("unknown activation");
}

Status CudaBackend::add(const Tensor& x, const Tensor& y, float scale) {
  ROTOR_RETURN_IF_ERROR(expect(x.dtype() == y.dtype() && x.size() == y.size(), "add"));
  return kernels::add(x.data(), y.data(), scale, x.dtype(), x.size(), stream());
}

Result<std::vector<double>> CudaBackend::next_token_losses(const Tensor& x, const Tensor& head,
                                                           std::span<const int32_t> ids,
                                                           int64_t seq_len, double soft_cap) {
  const int64_t tokens = x.rows();
  const int64_t vocabulary = head.rows();
  ROTOR_RETURN_IF_ERROR(expect(static_cast<int64_t>(ids.size()) == tokens &&
                                   head.cols() == x.cols() && seq_len > 0 && tokens % seq_len == 0,
                               "next_token_losses"));
  const std::vector<int32_t> next = next_ids(ids, seq_len);
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch targets,
                         uploaded(std::span<const int32_t>(next), stream()));
  ROTOR_ASSIGN_OR_RETURN(Tensor losses, allocate(DType::kF32, 1, tokens));
  const Logits source{x, head, soft_cap};
  ROTOR_ASSIGN_OR_RETURN(const Tensor weight, converted(head, DType::kBf16));
  const int64_t rows = logit_rows(tokens, vocabulary);
  ROTOR_ASSIGN_OR_RETURN(const Tensor logits, allocate(DType::kF32, rows, vocabulary));
  for (int64_t begin = 0; begin < tokens; begin += rows) {
    const int64_t count = std::min(rows, tokens - begin);
    ROTOR_RETURN_IF_ERROR(make_logits(source, weight, begin, count, logits));
    ROTOR_RETURN_IF_ERROR(kernels::cross_entropy(logits.data(), DType::kF32, count, vocabulary,
                                                 targets.as<int32_t>() + begin,
                                                 losses.as<float>() + begin, stream()));
  }
  return predicted(losses, next);
}

Result<std::vector<double>> CudaBackend::predicted(const Tensor& losses,
                                                   std::span<const int32_t> next) {
  std::vector<float> host(next.size());
  ROTOR_RETURN_IF_ERROR(download(losses, host.data(), losses.bytes()));
  std::vector<double> all;
  all.reserve(host.size());
  for (size_t t = 0; t < host.size(); ++t) {
    if (next[t] >= 0) {
      all.push_back(double{host[t]});
    }
  }
  return all;
}

Status CudaBackend::make_logits(const Logits& of, const Tensor& head, int64_t begin, int64_t count,
                                const Tensor& out) {
  const int64_t vocabulary = head.rows();
  kernels::GemmCall call;
  call.m = count;
  call.n = vocabulary;
  call.k = head.cols();
  call.a = {of.x.row_range(begin, count).data(), head.cols(), false};
  call.b = {head.data(), head.cols(), true};
  call.out = out.data();
  call.out_ld = vocabulary;
  call.out_dtype = DType::kF32;
  ROTOR_RETURN_IF_ERROR(gemm_.run(call, stream()));
  return of.soft_cap > 0.0 ? kernels::soft_cap(out.data(), DType::kF32, count * vocabulary,
                                               static_cast<float>(of.soft_cap), stream())
                           : Status();
}

Result<ComparedPredictions> CudaBackend::compare_predictions(const Logits& source,
                                                             const Logits& other,
                                                             std::span<const int32_t> ids,
                                                             int64_t seq_len) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t vocabulary = source.head.rows();
  ROTOR_RETURN_IF_ERROR(
      expect(source.x.rows() == tokens && other.x.rows() == tokens &&
                 other.head.rows() == vocabulary && source.head.cols() == source.x.cols() &&
                 other.head.cols() == other.x.cols() && seq_len > 0 && tokens % seq_len == 0,
             "compare_predictions"));
  const std::vector<int32_t> next = next_ids(ids, seq_len);
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch targets,
                         uploaded(std::span<const int32_t>(next), stream()));
  ROTOR_ASSIGN_OR_RETURN(const Tensor source_head, converted(source.head, DType::kBf16));
  ROTOR_ASSIGN_OR_RETURN(const Tensor other_head, converted(other.head, DType::kBf16));
  const int64_t rows = logit_rows(tokens, vocabulary);
  ROTOR_ASSIGN_OR_RETURN(const Tensor of_source, allocate(DType::kF32, rows, vocabulary));
  ROTOR_ASSIGN_OR_RETURN(const Tensor of_other, allocate(DType::kF32, rows, vocabulary));
  ROTOR_ASSIGN_OR_RETURN(const Tensor source_losses, allocate(DType::kF32, 1, tokens));
  ROTOR_ASSIGN_OR_RETURN(const Tensor other_losses, allocate(DType::kF32, 1, tokens));
  ROTOR_ASSIGN_OR_RETURN(const Tensor kl, allocate(DType::kF32, 1, tokens));
  ROTOR_ASSIGN_OR_RETURN(const Tensor same_top, allocate(DType::kI32, 1, tokens));
  for (int64_t begin = 0; begin < tokens; begin += rows) {
    const int64_t count = std::min(rows, tokens - begin);
    const int32_t* const predicted_ids = targets.as<int32_t>() + begin;
    ROTOR_RETURN_IF_ERROR(make_logits(source, source_head, begin, count, of_source));
    ROTOR_RETURN_IF_ERROR(kernels::cross_entropy(of_source.data(), DType::kF32, count, vocabulary,
                                                 predicted_ids, source_losses.as<float>() + begin,
                                                 stream()));
    ROTOR_RETURN_IF_ERROR(make_logits(other, other_head, begin, count, of_other));
    ROTOR_RETURN_IF_ERROR(kernels::cross_entropy(of_other.data(), DType::kF32, count, vocabulary,
                                                 predicted_ids, other_losses.as<float>() + begin,
                                                 stream()));
    ROTOR_RETURN_IF_ERROR(kernels::divergence(of_source.as<float>(), of_other.as<float>(), count,
                                              vocabulary, kl.as<float>() + begin,
                                              same_top.as<int32_t>() + begin, stream()));
  }
  ComparedPredictions all;
  ROTOR_ASSIGN_OR_RETURN(all.source_losses, predicted(source_losses, next));
  ROTOR_ASSIGN_OR_RETURN(all.other_losses, predicted(other_losses, next));
  std::vector<float> host_kl(next.size());
  std::vector<int32_t> host_top(next.size());
  ROTOR_RETURN_IF_ERROR(download(kl, host_kl.data(), kl.bytes()));
  ROTOR_RETURN_IF_ERROR(download(same_top, host_top.data(), same_top.bytes()));
  for (size_t t = 0; t < next.size(); ++t) {
    if (next[t] >= 0) {
      all.divergences.push_back({double{host_kl[t]}, host_top[t] == 1});
    }
  }
  return all;
}

Status CudaBackend::rotate(const Tensor& x, int64_t block, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(x.rows() == out.rows() && x.cols() == out.cols(), "rotate"));
  if (block == 1) {
    return x.dtype() == out.dtype()
               ? copy(x, out)
               : kernels::convert(x.data(), x.dtype(), x.size(), out.data(), out.dtype(), stream());
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor source,
                         converted(x, x.dtype() == DType::kF16 ? DType::kF32 : x.dtype()));
  return kernels::rotate_rows(source.data(), source.dtype(), x.rows(), x.cols(), block, out.data(),
                              out.dtype(), stream());
}

Status CudaBackend::quantize_activations(const Tensor& x, const ActivationQuant& quant,
                                         const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(x.rows() == out.rows() && x.cols() == out.cols(), "quantize_activations"));
  return kernels::fake_quantize_activations(x.data(), x.dtype(), x.rows(), x.cols(), quant.scheme,
                                            quant.input_global_scale, out.data(), out.dtype(),
                                            stream());
}

Result<float> CudaBackend::max_abs(const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(Tensor largest, allocate(DType::kF32, 1, 1));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemsetAsync(largest.data(), 0, largest.bytes(), stream())));
  ROTOR_RETURN_IF_ERROR(fold_max_abs(x, largest));
  float value = 0.0F;
  ROTOR_RETURN_IF_ERROR(download(largest, &value, sizeof(value)));
  return value;
}

Status CudaBackend::fold_max_abs(const Tensor& x, const Tensor& running) {
  ROTOR_RETURN_IF_ERROR(expect(is_f32(running, 1, 1), "fold_max_abs"));
  return kernels::max_abs(x.data(), x.dtype(), x.size(), running.as<float>(), stream());
}

}  // namespace rotor::worker::cuda
