#include "kernels/device/launch.cuh"
#include "kernels/quadratic.h"
#include "kernels/scratch.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

__global__ void subtract_kernel(const float* a, const float* b, int64_t count, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) {
    out[i] = a[i] - b[i];
  }
}

/// One block a row. The order of summation is fixed by the block's size.
__global__ void __launch_bounds__(kBlockThreads)
    row_dot_kernel(const float* x, const float* y, int64_t n, double* out) {
  __shared__ double partial[kBlockThreads];
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * n;
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < n; i += kBlockThreads) {
    sum += static_cast<double>(x[begin + i]) * static_cast<double>(y[begin + i]);
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
  const int64_t bytes = count * int64_t{sizeof(float)};
  ROTOR_ASSIGN_OR_RETURN(const Scratch difference,
                         Scratch::allocate(b == nullptr ? 0 : bytes, stream));
  if (b != nullptr) {
    ROTOR_RETURN_IF_ERROR(launch("subtract", subtract_kernel, count, kBlockThreads, stream, a, b,
                                 count, difference.as<float>()));
    a = difference.as<float>();
  }
  ROTOR_ASSIGN_OR_RETURN(const Scratch product, Scratch::allocate(bytes, stream));
  GemmCall call;
  call.m = rows;
  call.n = n;
  call.k = n;
  call.a = {a, n, false};
  call.b = {hessian, n, false};
  call.in_dtype = DType::kF32;
  call.out = product.data();
  call.out_ld = n;
  call.out_dtype = DType::kF32;
  call.any_m = true;
  ROTOR_RETURN_IF_ERROR(gemm.run(call, stream));
  return launch("row_dot", row_dot_kernel, rows * kBlockThreads, kBlockThreads, stream, a,
                product.as<float>(), n, out);
}

}  // namespace rotor::kernels
