// The part of the CUDA backend that shares out tokens over experts.
#include "kernels/routing.h"

#include "kernels/embedding.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/backend/operands.h"
#include "worker/backend/routing.h"

namespace rotor::worker::cuda {

Result<Routing> CudaBackend::route(const Tensor& x, const RouterWeights& router,
                                   const RoutingRule& rule) {
  ROTOR_RETURN_IF_ERROR(expect(
      x.dtype() == DType::kBf16 && router.weight.cols() == x.cols() && fits_rule(router, rule),
      "route"));
  const int64_t tokens = x.rows();
  ROTOR_ASSIGN_OR_RETURN(const Tensor factor, converted(router.weight, DType::kBf16));
  ROTOR_ASSIGN_OR_RETURN(const Tensor offset, converted(router.bias, DType::kF32));
  ROTOR_ASSIGN_OR_RETURN(const Tensor correction, converted(router.correction, DType::kF32));
  ROTOR_ASSIGN_OR_RETURN(const Tensor logits, allocate(DType::kF32, tokens, rule.experts));
  kernels::GemmCall call;
  call.m = tokens;
  call.n = rule.experts;
  call.k = x.cols();
  call.a = {x.data(), x.cols(), false};
  call.b = {factor.data(), x.cols(), true};
  call.out = logits.data();
  call.out_ld = rule.experts;
  call.out_dtype = DType::kF32;
  call.bias = offset.data();
  // A token's experts are its own, whatever it is routed with.
  call.any_m = x.cols() % 4 == 0 && rule.experts % 4 == 0;
  ROTOR_RETURN_IF_ERROR(gemm_.run(call, stream()));

  Routing routing;
  ROTOR_ASSIGN_OR_RETURN(const Tensor chosen, allocate(DType::kI32, tokens, rule.per_token));
  ROTOR_ASSIGN_OR_RETURN(routing.weights, allocate(DType::kF32, tokens, rule.per_token));
  const kernels::ExpertChoice choice{.experts = rule.experts,
                                     .per_token = rule.per_token,
                                     .normalize = rule.normalize,
                                     .sigmoid = rule.score == ScoreRule::kSigmoid,
                                     .groups = rule.groups,
                                     .groups_chosen = rule.groups_chosen,
                                     .scale = rule.scale,
                                     .correction = correction.as<float>()};
  ROTOR_RETURN_IF_ERROR(kernels::choose_experts(logits.as<float>(), tokens, choice,
                                                chosen.as<int32_t>(), routing.weights.as<float>(),
                                                stream()));
  std::vector<int32_t> choices(static_cast<size_t>(chosen.size()));
  ROTOR_RETURN_IF_ERROR(download(chosen, choices.data(), chosen.bytes()));
  const RowOrder order = order_rows(choices, rule.per_token, rule.experts);
  routing.begin = order.begin;
  ROTOR_ASSIGN_OR_RETURN(routing.tokens, allocate(DType::kI32, chosen.size(), 1));
  ROTOR_ASSIGN_OR_RETURN(routing.places, allocate(DType::kI32, tokens, rule.per_token));
  ROTOR_RETURN_IF_ERROR(upload(order.tokens.data(), routing.tokens.bytes(), routing.tokens));
  ROTOR_RETURN_IF_ERROR(upload(order.places.data(), routing.places.bytes(), routing.places));
  return routing;
}

Status CudaBackend::gather_rows(const Tensor& x, const Tensor& rows, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(rows.dtype() == DType::kI32 && out.rows() == rows.size() &&
                                   out.cols() == x.cols() && out.dtype() == x.dtype(),
                               "gather_rows"));
  return kernels::embed_rows(x.data(), x.dtype(), x.rows(), x.cols(), rows.as<int32_t>(),
                             out.rows(), 1.0F, out.data(), out.dtype(), stream());
}

Status CudaBackend::add_routed(const Tensor& x, const Tensor& y, const Routing& routing) {
  const int64_t per_token = routing.places.cols();
  ROTOR_RETURN_IF_ERROR(
      expect(x.dtype() == y.dtype() && x.cols() == y.cols() && x.rows() == routing.places.rows() &&
                 y.rows() == routing.tokens.rows() && is_f32(routing.weights, x.rows(), per_token),
             "add_routed"));
  return kernels::add_routed(x.data(), y.data(), x.dtype(), x.rows(), x.cols(),
                             routing.places.as<int32_t>(), routing.weights.as<float>(), per_token,
                             stream());
}

}  // namespace rotor::worker::cuda
