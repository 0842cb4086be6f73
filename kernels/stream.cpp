#include "kernels/stream.h"

#include "kernels/cuda_status.h"

namespace rotor::kernels {

void Stream::Destroy::operator()(cudaStream_t stream) const {
  // At the process's end the driver may be gone already, and nobody is left to tell.
  (void)cudaStreamDestroy(stream);
}

Result<Stream> Stream::create() {
  cudaStream_t stream = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)));
  return Stream(stream);
}

Status Stream::synchronize() const {
  return ROTOR_CUDA(cudaStreamSynchronize(stream_.get()));
}

}  // namespace rotor::kernels
