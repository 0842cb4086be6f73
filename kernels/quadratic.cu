#include "kernels/device/launch.cuh"
#include "kernels/elementwise.h"
#include "kernels/quadratic.h"
#include "kernels/scratch.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

__device__ __forceinline__ float difference(const float* a, const float* b, int64_t i) {
  return b == nullptr ? a[i] : a[i] - b[i];
}

__global__ void difference_kernel(const float* a, const float* b, int64_t count,
                                  __nv_bfloat16* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) {
    out[i] = __float2bfloat16_rn(difference(a, b, i));
  }
}

/// out[row] = (a - b) . product; one block a row. The order of summation is fixed by the block's
/// size.
__global__ void __launch_bounds__(kBlockThreads)
    row_dot_kernel(const float* a, const float* b, const float* product, int64_t n, double* out) {
  __shared__ double partial[kBlockThreads];
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * n;
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x; i < begin + n; i += kBlockThreads) {
    sum += static_cast<double>(difference(a, b, i)) * static_cast<double>(product[i]);
  }
  partial[threadIdx.x] = sum;
  for (unsigned half = kBlockThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    out[blockIdx.x] = partial[0];
  }
}

}  // namespace

Status quadratic_rows(Gemm& gemm, const float* a, const float* b, int64_t rows, int64_t n,
                      const float* hessian, double* out, cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, n));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("a", a));
  ROTOR_RETURN_IF_ERROR(check_pointer("hessian", hessian));
  constexpr int64_t kHalf = 2;  // bytes of a BF16
  ROTOR_ASSIGN_OR_RETURN(const Scratch factor, Scratch::allocate(count * kHalf, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch metric, Scratch::allocate(n * n * kHalf, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch product,
                         Scratch::allocate(count * int64_t{sizeof(float)}, stream));
  ROTOR_RETURN_IF_ERROR(launch("difference", difference_kernel, count, kBlockThreads, stream, a, b,
                               count, factor.as<__nv_bfloat16>()));
  ROTOR_RETURN_IF_ERROR(convert(hessian, DType::kF32, n * n, metric.data(), DType::kBf16, stream));
  GemmCall call;
  call.m = rows;
  call.n = n;
  call.k = n;
  call.a = {factor.data(), n, false};
  call.b = {metric.data(), n, false};
  call.out = product.data();
  call.out_ld = n;
  call.out_dtype = DType::kF32;
  call.any_m = true;
  ROTOR_RETURN_IF_ERROR(gemm.run(call, stream));
  return launch("row_dot", row_dot_kernel, rows * kBlockThreads, kBlockThreads, stream, a, b,
                product.as<float>(), n, out);
}

}  // namespace rotor::kernels
