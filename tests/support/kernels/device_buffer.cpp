#include "tests/support/kernels/device_buffer.h"

#include <string>

#include "kernels/cuda_status.h"

namespace rotor::kernels {

void DeviceBuffer::Free::operator()(void* memory) const {
  // At the process's end the driver may be gone already, and nobody is left to tell.
  (void)cudaFree(memory);
}

Result<DeviceBuffer> DeviceBuffer::allocate(int64_t bytes) {
  if (bytes < 0) {
    return invalid_argument("a device buffer of " + std::to_string(bytes) + " bytes")
        .with_reason("BAD_SHAPE");
  }
  DeviceBuffer buffer;
  if (bytes > 0) {
    void* memory = nullptr;
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMalloc(&memory, static_cast<size_t>(bytes)), bytes));
    buffer.memory_.reset(memory);
    buffer.bytes_ = bytes;
  }
  return buffer;
}

Status DeviceBuffer::check_size(int64_t bytes) const {
  if (bytes < 0 || bytes > bytes_) {
    return out_of_range(std::to_string(bytes) + " bytes of a device buffer of " +
                        std::to_string(bytes_))
        .with_reason("BAD_SHAPE");
  }
  return {};
}

Status DeviceBuffer::copy_from_host(const void* source, int64_t bytes, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_size(bytes));
  return ROTOR_CUDA(
      cudaMemcpyAsync(data(), source, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream));
}

Status DeviceBuffer::copy_to_host(void* destination, int64_t bytes, cudaStream_t stream) const {
  ROTOR_RETURN_IF_ERROR(check_size(bytes));
  return ROTOR_CUDA(cudaMemcpyAsync(destination, data(), static_cast<size_t>(bytes),
                                    cudaMemcpyDeviceToHost, stream));
}

Status DeviceBuffer::fill(uint8_t byte, cudaStream_t stream) {
  return ROTOR_CUDA(cudaMemsetAsync(data(), byte, static_cast<size_t>(bytes_), stream));
}

}  // namespace rotor::kernels
