#include "worker/program/device.h"

#include <sched.h>

#include <algorithm>

namespace rotor::worker {
namespace {

int usable_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const std::string& device, int threads,
                                              int /*local_rank*/, int local_size) {
  if (device == "cuda") {
    return unimplemented("--device cuda: this build has no CUDA backend; use --device cpu")
        .with_reason("NO_CUDA");
  }
  return make_cpu_backend(threads > 0 ? threads : std::max(1, usable_cores() / local_size));
}

}  // namespace rotor::worker
