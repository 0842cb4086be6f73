// The damping ladder of algorithm.md section 3 on one GPU or on those of a group.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cholesky.h"
#include "kernels/cuda_status.h"
#include "kernels/symmetric.h"
#include "quant/gptq/column_order.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cuda {
namespace {

/// The group as the kernels see it.
kernels::CholeskyGroup group_of(Communicator& comm) {
  kernels::CholeskyGroup group;
  group.rank = comm.rank();
  group.ranks = comm.size();
  group.agree = [&comm](const Status& mine) { return comm.agree(mine); };
  group.broadcast = [&comm](float* data, int64_t count, int root) {
    // The kernels own the memory: this buffer frees nothing.
    auto buffer = std::make_shared<Buffer>(data, static_cast<size_t>(count) * sizeof(float));
    return comm.broadcast(Tensor(DType::kF32, 1, count, std::move(buffer)), root);
  };
  return group;
}

/// Writes values [n] to the diagonal of an otherwise empty matrix.
Status fill_diagonal(const std::vector<float>& values, const Tensor& matrix, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemsetAsync(matrix.data(), 0, matrix.bytes(), stream)));
  const size_t step = (values.size() + 1) * sizeof(float);
  return ROTOR_CUDA(cudaMemcpy2DAsync(matrix.data(), step, values.data(), sizeof(float),
                                      sizeof(float), values.size(), cudaMemcpyHostToDevice,
                                      stream));
}

}  // namespace

Result<CudaBackend::OrderedFactor> CudaBackend::order_factor(const Tensor& hessian,
                                                             const FactorOptions& options) {
  const int64_t n = hessian.rows();
  ROTOR_RETURN_IF_ERROR(expect(is_f32(hessian, n, n), "factorize"));
  ROTOR_ASSIGN_OR_RETURN(const float largest, max_abs(hessian));
  if (!std::isfinite(largest)) {
    return invalid_argument("the Hessian is not finite").with_reason("NOT_FINITE");
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<float> values, diagonal(hessian));
  std::vector<int32_t> order(values.size());
  std::vector<uint8_t> dead(values.size());
  ROTOR_ASSIGN_OR_RETURN(const ColumnOrder columns,
                         order_columns(values, options.act_order, order.data(), dead.data()));
  OrderedFactor ordered;
  Factor& factor = ordered.factor;
  if (columns.dead == n) {
    factor.kind = FactorKind::kFailed;
    return ordered;
  }
  std::reverse(order.begin(), order.end());
  ordered.mean = columns.mean;
  for (const int32_t column : order) {
    const auto c = static_cast<size_t>(column);
    ordered.diagonal.push_back(dead[c] != 0 ? static_cast<float>(columns.mean) : values[c]);
  }
  ROTOR_ASSIGN_OR_RETURN(factor.triangle, allocate(DType::kF32, n, n));
  ROTOR_ASSIGN_OR_RETURN(factor.order, allocate(DType::kI32, 1, n));
  ROTOR_ASSIGN_OR_RETURN(factor.dead, allocate(DType::kU8, 1, n));
  ROTOR_RETURN_IF_ERROR(upload(order.data(), factor.order.bytes(), factor.order));
  ROTOR_RETURN_IF_ERROR(upload(dead.data(), factor.dead.bytes(), factor.dead));
  return ordered;
}

Result<bool> CudaBackend::fill_factor(const Tensor& hessian, const OrderedFactor& ordered,
                                      double damping, Communicator& comm) {
  const Factor& factor = ordered.factor;
  const int64_t n = hessian.rows();
  const kernels::Damping damped{static_cast<float>(ordered.mean),
                                static_cast<float>(damping * ordered.mean)};
  ROTOR_RETURN_IF_ERROR(comm.agree(kernels::gather_lower(
      hessian.as<float>(), n, factor.order.as<int32_t>(), factor.dead.as<uint8_t>(), damped,
      factor.triangle.as<float>(), stream())));
  ROTOR_RETURN_IF_ERROR(
      kernels::factorize_cholesky(gemm_, factor.triangle.as<float>(), n, group_of(comm), stream()));
  const Result<std::vector<float>> pivots = diagonal(factor.triangle);
  ROTOR_RETURN_IF_ERROR(comm.agree(pivots.status()));
  return std::all_of(pivots->begin(), pivots->end(),
                     [](float pivot) { return std::isfinite(pivot) && pivot > 0.0F; });
}

Result<Factor> CudaBackend::factorize(const Tensor& hessian, const FactorOptions& options,
                                      Communicator& comm, int /*root*/) {
  Result<OrderedFactor> ordered = order_factor(hessian, options);
  ROTOR_RETURN_IF_ERROR(comm.agree(ordered.status()));
  Factor factor = ordered->factor;
  if (factor.kind == FactorKind::kFailed) {
    return factor;
  }
  for (double damping = options.damping;; damping = next_damping(damping)) {
    ROTOR_ASSIGN_OR_RETURN(const bool definite, fill_factor(hessian, *ordered, damping, comm));
    if (definite) {
      factor.damping = damping;
      return factor;
    }
    if (damping >= 1.0) {
      break;
    }
  }
  for (float& value : ordered->diagonal) {
    value = std::sqrt(value);
  }
  const Status filled = fill_diagonal(ordered->diagonal, factor.triangle, stream());
  ROTOR_RETURN_IF_ERROR(comm.agree(filled.ok() ? synchronize() : filled));  // the diagonal goes
  factor.kind = FactorKind::kDiagonal;
  return factor;
}

}  // namespace rotor::worker::cuda
