#include "kernels/cholesky.h"

#include <string>
#include <vector>

#include "kernels/cuda_status.h"
#include "kernels/scratch.h"

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

Result<bool> Cholesky::factorize(float* a, int64_t n, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check(cusolverDnSetStream(handle_.get(), stream), "cusolverDnSetStream"));
  size_t device_bytes = 0;
  size_t host_bytes = 0;
  ROTOR_RETURN_IF_ERROR(
      check(cusolverDnXpotrf_bufferSize(handle_.get(), params_.get(), kTriangle, n, CUDA_R_32F, a,
                                        n, CUDA_R_32F, &device_bytes, &host_bytes),
            "cusolverDnXpotrf_bufferSize"));
  ROTOR_ASSIGN_OR_RETURN(const Scratch workspace,
                         Scratch::allocate(static_cast<int64_t>(device_bytes), stream));
  ROTOR_ASSIGN_OR_RETURN(const Scratch info, Scratch::allocate(sizeof(int), stream));
  std::vector<char> host_workspace(host_bytes);
  ROTOR_RETURN_IF_ERROR(
      check(cusolverDnXpotrf(handle_.get(), params_.get(), kTriangle, n, CUDA_R_32F, a, n,
                             CUDA_R_32F, workspace.data(), device_bytes, host_workspace.data(),
                             host_bytes, info.as<int>()),
            "cusolverDnXpotrf"));
  int outcome = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
      cudaMemcpyAsync(&outcome, info.data(), sizeof(outcome), cudaMemcpyDeviceToHost, stream)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaStreamSynchronize(stream)));
  if (outcome < 0) {
    return internal_error("cusolverDnXpotrf: argument " + std::to_string(-outcome) + " is wrong")
        .with_reason("CUSOLVER_ERROR");
  }
  return outcome == 0;
}

}  // namespace rotor::kernels
