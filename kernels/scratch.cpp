#include "kernels/scratch.h"

#include <string>

#include "kernels/cuda_status.h"
#include "kernels/memory_pool.h"

namespace rotor::kernels {

void Scratch::Free::operator()(void* memory) const {
  // A sticky device error shows at the next checked call.
  (void)cudaFreeAsync(memory, stream);
}

Result<Scratch> Scratch::allocate(int64_t bytes, cudaStream_t stream) {
  if (bytes < 0) {
    return invalid_argument("scratch memory of " + std::to_string(bytes) + " bytes")
        .with_reason("BAD_SHAPE");
  }
  Scratch scratch;
  if (bytes > 0) {
    void* memory = nullptr;
    const auto ask = [&] {
      return ROTOR_CUDA(cudaMallocAsync(&memory, static_cast<size_t>(bytes), stream), bytes);
    };
    Status status = ask();
    if (status.code() == Code::kResourceExhausted) {
      // What the pool keeps may be cut too small for this one: give it back and ask again.
      ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaStreamSynchronize(stream)));
      ROTOR_RETURN_IF_ERROR(trim_current_pool());
      status = ask();
    }
    ROTOR_RETURN_IF_ERROR(status);
    scratch.memory_ = {memory, Free{stream}};
  }
  return scratch;
}

}  // namespace rotor::kernels
