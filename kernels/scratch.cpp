#include "kernels/scratch.h"

#include <string>

#include "kernels/cuda_status.h"

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
    ROTOR_RETURN_IF_ERROR(
        ROTOR_CUDA(cudaMallocAsync(&memory, static_cast<size_t>(bytes), stream), bytes));
    scratch.memory_ = {memory, Free{stream}};
  }
  return scratch;
}

}  // namespace rotor::kernels
