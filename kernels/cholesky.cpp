#include "kernels/cholesky.h"

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cuda_status.h"
#include "kernels/scratch.h"
#include "kernels/split_tf32.h"
#include "kernels/symmetric.h"
#include "kernels/triangle.h"

namespace rotor::kernels {
namespace {

Status check(cusolverStatus_t status, const char* what) {
  if (status == CUSOLVER_STATUS_SUCCESS) {
    return {};
  }
  return internal_error(std::string(what) + ": cuSOLVER status " + std::to_string(status))
      .with_reason("CUSOLVER_ERROR");
}

// A row-major lower triangle is cuSOLVER's upper one.
constexpr cublasFillMode_t kTriangle = CUBLAS_FILL_MODE_UPPER;

constexpr int64_t kPanel = 1024;
constexpr int64_t kSmallestInPanels = 12288;  // below, cuSOLVER alone is as fast

Result<Scratch> floats(int64_t count, cudaStream_t stream) {
  return Scratch::allocate(count * int64_t{sizeof(float)}, stream);
}

}  // namespace

void Cholesky::Destroy::operator()(cusolverDnContext* handle) const {
  (void)cusolverDnDestroy(handle);
}

void Cholesky::DestroyParams::operator()(cusolverDnParams* params) const {
  (void)cusolverDnDestroyParams(params);
}

Result<Cholesky> Cholesky::create() {
  Cholesky cholesky;
  cusolverDnHandle_t handle = nullptr;
  ROTOR_RETURN_IF_ERROR(check(cusolverDnCreate(&handle), "cusolverDnCreate"));
  cholesky.handle_.reset(handle);
  cusolverDnParams_t params = nullptr;
  ROTOR_RETURN_IF_ERROR(check(cusolverDnCreateParams(&params), "cusolverDnCreateParams"));
  cholesky.params_.reset(params);
  return cholesky;
}

Status Cholesky::factorize_block(float* a, int64_t n, int64_t ld, int* info, cudaStream_t stream) {
  size_t device_bytes = 0;
  size_t host_bytes = 0;
  ROTOR_RETURN_IF_ERROR(
      check(cusolverDnXpotrf_bufferSize(handle_.get(), params_.get(), kTriangle, n, CUDA_R_32F, a,
                                        ld, CUDA_R_32F, &device_bytes, &host_bytes),
            "cusolverDnXpotrf_bufferSize"));
  ROTOR_ASSIGN_OR_RETURN(const Scratch workspace,
                         Scratch::allocate(static_cast<int64_t>(device_bytes), stream));
  std::vector<char> host_workspace(host_bytes);
  return check(
      cusolverDnXpotrf(handle_.get(), params_.get(), kTriangle, n, CUDA_R_32F, a, ld, CUDA_R_32F,
                       workspace.data(), device_bytes, host_workspace.data(), host_bytes, info),
      "cusolverDnXpotrf");
}

Status Cholesky::invert_block(float* a, int64_t n, int* info, cudaStream_t stream) {
  size_t device_bytes = 0;
  size_t host_bytes = 0;
  ROTOR_RETURN_IF_ERROR(
      check(cusolverDnXtrtri_bufferSize(handle_.get(), kTriangle, CUBLAS_DIAG_NON_UNIT, n,
                                        CUDA_R_32F, a, n, &device_bytes, &host_bytes),
            "cusolverDnXtrtri_bufferSize"));
  ROTOR_ASSIGN_OR_RETURN(const Scratch workspace,
                         Scratch::allocate(static_cast<int64_t>(device_bytes), stream));
  std::vector<char> host_workspace(host_bytes);
  return check(
      cusolverDnXtrtri(handle_.get(), kTriangle, CUBLAS_DIAG_NON_UNIT, n, CUDA_R_32F, a, n,
                       workspace.data(), device_bytes, host_workspace.data(), host_bytes, info),
      "cusolverDnXtrtri");
}

Status Cholesky::eliminate(Gemm& gemm, float* block, int64_t width, int64_t below, int64_t ld,
                           int* info, cudaStream_t stream) {
  const int64_t depth = kSplitParts * width;
  ROTOR_ASSIGN_OR_RETURN(const Scratch inverse, floats(width * width, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch inverse_parts, floats(width * depth, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch first, floats(below * depth, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch second, floats(below * depth, stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch panel, floats(below * width, stream));
  ROTOR_RETURN_IF_ERROR(copy_lower(block, width, ld, inverse.as<float>(), stream));
  ROTOR_RETURN_IF_ERROR(invert_block(inverse.as<float>(), width, info, stream));
  ROTOR_RETURN_IF_ERROR(split_tf32(inverse.as<float>(), width, width, width, nullptr,
                                   inverse_parts.as<float>(), stream));

  // The panel: what stands below the block times the block's inverse, transposed.
  float* rows = block + width * ld;
  ROTOR_RETURN_IF_ERROR(split_tf32(rows, below, width, ld, first.as<float>(), nullptr, stream));
  GemmCall call;
  call.m = below;
  call.n = width;
  call.k = depth;
  call.a = {first.data(), depth, false};
  call.b = {inverse_parts.data(), depth, true};
  call.in_dtype = DType::kF32;
  call.out = panel.data();
  call.out_ld = width;
  call.out_dtype = DType::kF32;
  ROTOR_RETURN_IF_ERROR(gemm.run(call, stream));
  const auto row_bytes = static_cast<size_t>(width) * sizeof(float);
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
      cudaMemcpy2DAsync(rows, static_cast<size_t>(ld) * sizeof(float), panel.data(), row_bytes,
                        row_bytes, static_cast<size_t>(below), cudaMemcpyDeviceToDevice, stream)));

  ROTOR_RETURN_IF_ERROR(split_tf32(panel.as<float>(), below, width, width, first.as<float>(),
                                   second.as<float>(), stream));
  return add_lower_product(gemm,
                           {.n = below,
                            .k = depth,
                            .a = {first.data(), depth, true},
                            .b = {second.data(), depth, true},
                            .in_dtype = DType::kF32,
                            .out = rows + width,
                            .out_ld = ld,
                            .alpha = -1.0F},
                           stream);
}

Result<bool> Cholesky::factorize(Gemm& gemm, float* a, int64_t n, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(cusolverDnSetStream(handle_.get(), stream), "cusolverDnSetStream"));
  const int64_t width = n < kSmallestInPanels ? n : kPanel;
  const int64_t blocks = (n + width - 1) / width;
  // Two outcomes a block, all looked at once: waiting after each would leave the device idle.
  std::vector<int> outcomes(static_cast<size_t>(2 * blocks));
  const size_t bytes = outcomes.size() * sizeof(int);
  ROTOR_ASSIGN_OR_RETURN(const Scratch infos,
                         Scratch::allocate(static_cast<int64_t>(bytes), stream));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemsetAsync(infos.data(), 0, bytes, stream)));
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t begin = i * width;
    const int64_t size = std::min(width, n - begin);
    float* block = a + begin * (n + 1);
    int* info = infos.as<int>() + 2 * i;
    ROTOR_RETURN_IF_ERROR(factorize_block(block, size, n, info, stream));
    if (begin + size < n) {
      ROTOR_RETURN_IF_ERROR(eliminate(gemm, block, size, n - begin - size, n, info + 1, stream));
    }
  }
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
      cudaMemcpyAsync(outcomes.data(), infos.data(), bytes, cudaMemcpyDeviceToHost, stream)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaStreamSynchronize(stream)));
  for (const int outcome : outcomes) {
    if (outcome < 0) {
      return internal_error("cuSOLVER: argument " + std::to_string(-outcome) + " is wrong")
          .with_reason("CUSOLVER_ERROR");
    }
  }
  return std::all_of(outcomes.begin(), outcomes.end(), [](int outcome) { return outcome == 0; });
}

}  // namespace rotor::kernels
