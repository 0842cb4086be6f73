#include "kernels/cuda_status.h"

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

TEST(CudaStatus, NamesTheCallThePlaceAndTheError) {
  const Status status = ROTOR_CUDA(cudaErrorInvalidValue);
  EXPECT_FAILS(status, Code::kInternal, "CUDA_ERROR",
               "cudaErrorInvalidValue: cudaErrorInvalidValue (invalid argument)");
  EXPECT_EQ(status.message().rfind("kernels/cuda_status_test.cpp:", 0), 0U) << status.message();
  EXPECT_EQ(status.details().at("cuda_error"), "cudaErrorInvalidValue");
  EXPECT_OK(ROTOR_CUDA(cudaSuccess));
}

TEST(CudaStatus, SaysWhatToDoAboutTheMachine) {
  EXPECT_FAILS(ROTOR_CUDA(cudaErrorNoDevice), Code::kFailedPrecondition, "CUDA_NO_DEVICE",
               "or use the CPU");
  EXPECT_FAILS(ROTOR_CUDA(cudaErrorNoKernelImageForDevice), Code::kFailedPrecondition,
               "CUDA_UNSUPPORTED_DEVICE", "CMAKE_CUDA_ARCHITECTURES");
}

TEST(CudaStatus, SaysHowManyBytesWereNeeded) {
  const Status status = ROTOR_CUDA(cudaErrorMemoryAllocation, 1234);
  EXPECT_FAILS(status, Code::kResourceExhausted, "CUDA_OUT_OF_MEMORY", "1234 bytes needed");
  EXPECT_EQ(status.details().at("bytes_needed"), "1234");
}

using CudaStatusOnDevice = CudaTest;

TEST_F(CudaStatusOnDevice, ClearsTheLastError) {
  EXPECT_FAILS(ROTOR_CUDA(cudaMemset(nullptr, 0, 16)), Code::kInternal, "CUDA_ERROR", "cudaMemset");
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

}  // namespace
}  // namespace rotor::kernels
