#include "worker/backend/cpu/buffer.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

namespace rotor::worker::cpu {
namespace {

constexpr size_t kAlignment = 64;

class HostBuffer final : public Buffer {
 public:
  HostBuffer(void* data, size_t bytes) : Buffer(data, bytes) {}
  ~HostBuffer() override { std::free(data()); }
};

}  // namespace

HostMemory host_memory() {
  const int64_t page = sysconf(_SC_PAGESIZE);
  return {page * sysconf(_SC_PHYS_PAGES), page * sysconf(_SC_AVPHYS_PAGES)};
}

Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes) {
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, padded == 0 ? kAlignment : padded);
  if (data == nullptr) {
    return resource_exhausted("out of memory: " + std::to_string(bytes) + " bytes needed, " +
                              std::to_string(host_memory().available) + " free")
        .with_reason("OUT_OF_MEMORY")
        .with_detail("needed", std::to_string(bytes))
        .with_detail("free", std::to_string(host_memory().available));
  }
  return std::shared_ptr<Buffer>(std::make_shared<HostBuffer>(data, bytes));
}

void ScratchPool::borrow(size_t count, Block& block) {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      block.floats_ = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (block.floats_.size() < count) {
    block.floats_ = std::vector<float>(count);
  }
}

void ScratchPool::give_back(std::vector<float> floats) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(floats));
}

}  // namespace rotor::worker::cpu
