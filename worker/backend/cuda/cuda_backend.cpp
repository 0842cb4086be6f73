#include "worker/backend/cuda/cuda_backend.h"

#include <limits>
#include <string>
#include <utility>

#include "kernels/cuda_status.h"
#include "kernels/scratch.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cuda {
namespace {

class DeviceMemory final : public Buffer {
 public:
  DeviceMemory(kernels::Scratch memory, size_t bytes)
      : Buffer(memory.data(), bytes), memory_(std::move(memory)) {}

 private:
  kernels::Scratch memory_;
};

class PinnedMemory final : public Buffer {
 public:
  using Buffer::Buffer;
  ~PinnedMemory() override { (void)cudaFreeHost(data()); }
};

/// Keeps what is freed in the pool: giving it back to the driver costs milliseconds.
Status keep_pool(int device) {
  cudaMemPool_t pool = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaDeviceGetDefaultMemPool(&pool, device)));
  uint64_t threshold = std::numeric_limits<uint64_t>::max();
  return ROTOR_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
}

}  // namespace

int visible_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // no driver: not this build's error
    return 0;
  }
  return count;
}

Result<std::unique_ptr<CudaBackend>> CudaBackend::create(int device) {
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaSetDevice(device)));
  ROTOR_RETURN_IF_ERROR(keep_pool(device));
  ROTOR_ASSIGN_OR_RETURN(kernels::Stream stream, kernels::Stream::create());
  ROTOR_ASSIGN_OR_RETURN(kernels::Gemm gemm, kernels::Gemm::create());
  ROTOR_ASSIGN_OR_RETURN(kernels::Cholesky cholesky, kernels::Cholesky::create());
  return std::unique_ptr<CudaBackend>(
      new CudaBackend(device, std::move(stream), std::move(gemm), std::move(cholesky)));
}

CudaBackend::CudaBackend(int device, kernels::Stream stream, kernels::Gemm gemm,
                         kernels::Cholesky cholesky)
    : device_(device),
      stream_(std::move(stream)),
      gemm_(std::move(gemm)),
      cholesky_(std::move(cholesky)) {}

CudaBackend::~CudaBackend() {
  (void)stream_.synchronize();
}

DeviceInfo CudaBackend::info() const {
  DeviceInfo info;
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, device_) == cudaSuccess) {
    info.name = "cuda sm_" + std::to_string(properties.major) + std::to_string(properties.minor) +
                " " + properties.name;
    info.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  }
  return info;
}

int64_t CudaBackend::row_tile() const {
  return 128;  // rows do not depend on each other; this keeps the products' tiles full
}

Result<Tensor> CudaBackend::allocate(DType dtype, int64_t rows, int64_t cols) {
  const int64_t bytes = rows * cols * dtype_size(dtype);
  Result<kernels::Scratch> memory = kernels::Scratch::allocate(bytes, stream());
  if (!memory.ok() && memory.status().code() == Code::kResourceExhausted) {
    // What the pool keeps may be cut too small for this one: give it back and ask again.
    ROTOR_RETURN_IF_ERROR(synchronize());
    cudaMemPool_t pool = nullptr;
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaDeviceGetDefaultMemPool(&pool, device_)));
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemPoolTrimTo(pool, 0)));
    memory = kernels::Scratch::allocate(bytes, stream());
  }
  ROTOR_RETURN_IF_ERROR(memory.status());
  return Tensor(
      dtype, rows, cols,
      std::make_shared<DeviceMemory>(std::move(memory).value(), static_cast<size_t>(bytes)));
}

Result<std::shared_ptr<Buffer>> CudaBackend::allocate_host(size_t bytes) {
  void* memory = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMallocHost(&memory, bytes), static_cast<int64_t>(bytes)));
  return std::shared_ptr<Buffer>(std::make_shared<PinnedMemory>(memory, bytes));
}

Status CudaBackend::upload(const void* src, size_t bytes, const Tensor& dst) {
  ROTOR_RETURN_IF_ERROR(expect(bytes == dst.bytes(), "upload"));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaMemcpyAsync(dst.data(), src, bytes, cudaMemcpyHostToDevice, stream())));
  return synchronize();
}

Status CudaBackend::download(const Tensor& src, void* dst, size_t bytes) {
  ROTOR_RETURN_IF_ERROR(expect(bytes == src.bytes(), "download"));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaMemcpyAsync(dst, src.data(), bytes, cudaMemcpyDeviceToHost, stream())));
  return synchronize();
}

Status CudaBackend::copy(const Tensor& src, const Tensor& dst) {
  ROTOR_RETURN_IF_ERROR(expect(src.bytes() == dst.bytes(), "copy"));
  return ROTOR_CUDA(
      cudaMemcpyAsync(dst.data(), src.data(), src.bytes(), cudaMemcpyDeviceToDevice, stream()));
}

Status CudaBackend::synchronize() {
  return stream_.synchronize();
}

}  // namespace rotor::worker::cuda
