#include "worker/backend/cpu/buffer.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

namespace rotor::worker::cpu {
namespace {

constexpr size_t kAlignment = 64;

class HostBuffer final : public Buffer {
 public:
  HostBuffer(void* data, size_t bytes, std::shared_ptr<MemoryLimit> limit)
      : Buffer(data, bytes), limit_(std::move(limit)) {}
  ~HostBuffer() override {
    std::free(data());
    if (limit_ != nullptr) {
      limit_->used -= static_cast<int64_t>(bytes());
    }
  }

 private:
  std::shared_ptr<MemoryLimit> limit_;
};

Status out_of_memory(size_t bytes, int64_t free) {
  const std::string needed = std::to_string(bytes);
  const std::string available = std::to_string(free);
  return resource_exhausted("out of memory: " + needed + " bytes needed, " + available + " free")
      .with_reason("OUT_OF_MEMORY")
      .with_detail("needed", needed)
      .with_detail("free", available);
}

}  // namespace

HostMemory host_memory() {
  const int64_t page = sysconf(_SC_PAGESIZE);
  return {page * sysconf(_SC_PHYS_PAGES), page * sysconf(_SC_AVPHYS_PAGES)};
}

Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes,
                                              const std::shared_ptr<MemoryLimit>& limit) {
  const auto taken = static_cast<int64_t>(bytes);
  if (limit != nullptr && taken > limit->bytes - limit->used) {
    return out_of_memory(bytes, limit->bytes - limit->used);
  }
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  // The kernel promises more than there is and kills whoever takes it: what cannot fit is refused.
  const bool fits = taken <= host_memory().total;
  void* data = fits ? std::aligned_alloc(kAlignment, std::max(padded, kAlignment)) : nullptr;
  if (data == nullptr) {
    return out_of_memory(bytes, host_memory().available);
  }
  if (limit != nullptr) {
    limit->used += taken;
  }
  return std::shared_ptr<Buffer>(std::make_shared<HostBuffer>(data, bytes, limit));
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
