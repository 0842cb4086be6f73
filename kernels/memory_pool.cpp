#include "kernels/memory_pool.h"

#include <algorithm>
#include <limits>

#include "kernels/cuda_status.h"

namespace rotor::kernels {
namespace {

/// 0 where CUDA does not tell.
uint64_t attribute(cudaMemPool_t pool, cudaMemPoolAttr what) {
  uint64_t value = 0;
  if (cudaMemPoolGetAttribute(pool, what, &value) != cudaSuccess) {
    (void)cudaGetLastError();
    return 0;
  }
  return value;
}

}  // namespace

void MemoryPool::Destroy::operator()(cudaMemPool_t pool) const {
  cudaMemPool_t standard = nullptr;
  if (cudaDeviceGetDefaultMemPool(&standard, device) == cudaSuccess) {
    (void)cudaDeviceSetMemPool(device, standard);
  }
  (void)cudaMemPoolDestroy(pool);
}

Result<MemoryPool> MemoryPool::create(int device, int64_t limit) {
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  properties.maxSize = static_cast<size_t>(limit);
  cudaMemPool_t handle = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaMemPoolCreate(&handle, &properties)));
  MemoryPool pool;
  pool.limit_ = limit;
  pool.pool_ = {handle, Destroy{device}};
  uint64_t kept = std::numeric_limits<uint64_t>::max();
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaMemPoolSetAttribute(handle, cudaMemPoolAttrReleaseThreshold, &kept)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaDeviceSetMemPool(device, handle)));
  return pool;
}

int64_t MemoryPool::left() const {
  const auto used = static_cast<int64_t>(attribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent));
  if (limit_ > 0) {
    return std::max<int64_t>(limit_ - used, 1);
  }
  size_t free = 0;
  size_t total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
    (void)cudaGetLastError();
    return 0;
  }
  const auto reserved =
      static_cast<int64_t>(attribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent));
  return static_cast<int64_t>(free) + reserved - used;
}

Status trim_current_pool() {
  int device = 0;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaGetDevice(&device)));
  cudaMemPool_t pool = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaDeviceGetMemPool(&pool, device)));
  return ROTOR_CUDA(cudaMemPoolTrimTo(pool, 0));
}

}  // namespace rotor::kernels
