#include "worker/backend/cuda/cuda_backend.h"

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

/// What the pool may take under `limit`: the context and the libraries have their share already.
Result<int64_t> pool_limit(int64_t limit) {
  if (limit == 0) {
    return int64_t{0};
  }
  size_t free = 0;
  size_t total = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemGetInfo(&free, &total)));
  const int64_t left = limit - static_cast<int64_t>(total - free);
  if (left <= 0) {
    return invalid_argument("a memory limit of " + std::to_string(limit) + " bytes, of which " +
                            std::to_string(total - free) +
                            " are taken before anything is computed: raise --device-memory")
        .with_reason("BAD_MEMORY_LIMIT");
  }
  return left;
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

Result<std::unique_ptr<CudaBackend>> CudaBackend::create(int device, int64_t memory_limit) {
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaSetDevice(device)));
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<CudaBackend> backend, create_on(device, nullptr));
  // The context and the libraries have taken their share.
  ROTOR_ASSIGN_OR_RETURN(const int64_t limit, pool_limit(memory_limit));
  ROTOR_ASSIGN_OR_RETURN(kernels::MemoryPool pool, kernels::MemoryPool::create(device, limit));
  backend->pool_ = std::make_shared<kernels::MemoryPool>(std::move(pool));
  return backend;
}

Result<std::unique_ptr<CudaBackend>> CudaBackend::create_on(
    int device, std::shared_ptr<kernels::MemoryPool> pool) {
  ROTOR_ASSIGN_OR_RETURN(kernels::Stream stream, kernels::Stream::create());
  ROTOR_ASSIGN_OR_RETURN(kernels::Gemm gemm, kernels::Gemm::create(stream.get()));
  return std::unique_ptr<CudaBackend>(
      new CudaBackend(device, std::move(pool), std::move(stream), std::move(gemm)));
}

CudaBackend::CudaBackend(int device, std::shared_ptr<kernels::MemoryPool> pool,
                         kernels::Stream stream, kernels::Gemm gemm)
    : device_(device),
      pool_(std::move(pool)),
      stream_(std::move(stream)),
      gemm_(std::move(gemm)),
      downloads_(device) {}

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

int64_t CudaBackend::memory_left() const {
  return pool_->left();
}

Result<Tensor> CudaBackend::allocate(DType dtype, int64_t rows, int64_t cols) {
  const int64_t bytes = rows * cols * dtype_size(dtype);
  ROTOR_ASSIGN_OR_RETURN(kernels::Scratch memory, kernels::Scratch::allocate(bytes, stream()));
  return Tensor(dtype, rows, cols,
                std::make_shared<DeviceMemory>(std::move(memory), static_cast<size_t>(bytes)));
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

Result<std::unique_ptr<Download>> CudaBackend::begin_download(const Tensor& src) {
  return downloads_.begin(src.data(), src.bytes(), stream());
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
