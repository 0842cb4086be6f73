#include "worker/bench/memory_use.h"

#include <algorithm>
#include <fstream>
#include <string>

#ifdef ROTOR_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace rotor::worker::bench {
namespace {

/// VmHWM of /proc/self/status, in bytes.
int64_t resident_peak() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    if (key == "VmHWM:") {
      int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  return 0;
}

}  // namespace

MemoryUse::MemoryUse(const Backend& backend) : gpu_(backend.activation_dtype() == DType::kBf16) {}

void MemoryUse::sample() {
#ifdef ROTOR_HAVE_CUDA
  size_t free = 0;
  size_t total = 0;
  if (gpu_ && cudaMemGetInfo(&free, &total) == cudaSuccess) {
    peak_ = std::max(peak_, static_cast<int64_t>(total - free));
  }
#endif
}

int64_t MemoryUse::peak() const {
  return gpu_ ? peak_ : resident_peak();
}

}  // namespace rotor::worker::bench
