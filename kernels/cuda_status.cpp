#include "kernels/cuda_status.h"

#include <string>
#include <string_view>

namespace rotor::kernels {
namespace {

/// The last folder and the name: __FILE__ may hold the path of the machine that built it.
std::string_view short_path(std::string_view path) {
  const size_t name = path.rfind('/');
  if (name == std::string_view::npos || name == 0) {
    return path;
  }
  const size_t folder = path.rfind('/', name - 1);
  return folder == std::string_view::npos ? path : path.substr(folder + 1);
}

std::string describe(cudaError_t error, const CudaCall& call) {
  return std::string(short_path(call.file)) + ":" + std::to_string(call.line) + ": " +
         call.expression + ": " + cudaGetErrorName(error) + " (" + cudaGetErrorString(error) + ")";
}

Status out_of_memory(const std::string& what, int64_t bytes_needed) {
  std::string message = what;
  if (bytes_needed > 0) {
    message += ": " + std::to_string(bytes_needed) + " bytes needed";
  }
  size_t free = 0;
  size_t total = 0;
  const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
  if (known) {
    message += ", " + std::to_string(free) + " of " + std::to_string(total) +
               " free on the device: end what else runs on it, or make the work smaller";
  } else {
    (void)cudaGetLastError();
  }
  Status status = resource_exhausted(message).with_reason("CUDA_OUT_OF_MEMORY");
  if (bytes_needed > 0) {
    status = std::move(status).with_detail("bytes_needed", std::to_string(bytes_needed));
  }
  if (known) {
    status = std::move(status).with_detail("bytes_free", std::to_string(free));
  }
  return status;
}

}  // namespace

Status cuda_status(cudaError_t error, const CudaCall& call, int64_t bytes_needed) {
  if (error == cudaSuccess) {
    return {};
  }
  (void)cudaGetLastError();
  const std::string what = describe(error, call);
  switch (error) {
    case cudaErrorMemoryAllocation:
      return out_of_memory(what, bytes_needed);
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      return failed_precondition(what + ": install NVIDIA's driver, or use the CPU")
          .with_reason("CUDA_NO_DEVICE");
    case cudaErrorNoKernelImageForDevice:
      return failed_precondition(what + ": build with this GPU in CMAKE_CUDA_ARCHITECTURES")
          .with_reason("CUDA_UNSUPPORTED_DEVICE");
    default:
      return internal_error(what)
          .with_reason("CUDA_ERROR")
          .with_detail("cuda_error", cudaGetErrorName(error));
  }
}

}  // namespace rotor::kernels
