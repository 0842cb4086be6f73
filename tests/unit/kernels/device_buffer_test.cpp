#include "tests/support/kernels/device_buffer.h"

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

TEST(DeviceBufferArguments, SizesAreChecked) {
  EXPECT_FAILS(DeviceBuffer::allocate(-1), Code::kInvalidArgument, "BAD_SHAPE", "-1 bytes");
  const Result<DeviceBuffer> none = DeviceBuffer::allocate(0);
  ASSERT_OK(none);
  EXPECT_EQ(none->data(), nullptr);
}

using DeviceBufferOnDevice = CudaTest;

TEST_F(DeviceBufferOnDevice, KeepsWhatIsCopiedIn) {
  const std::vector<float> x = random_values(1000);
  const DeviceBuffer buffer = upload(x);
  std::vector<float> back(x.size());
  ASSERT_OK(buffer.copy_to_host(back.data(), 4000, stream()));
  synchronize();
  EXPECT_EQ(back, x);
  EXPECT_FAILS(buffer.copy_to_host(back.data(), 4001, stream()), Code::kOutOfRange, "BAD_SHAPE",
               "4001 bytes of a device buffer of 4000");
}

TEST_F(DeviceBufferOnDevice, SaysWhatWasNeededAndWhatIsFree) {
  constexpr int64_t kTooMuch = int64_t{1} << 50;
  const Status status = DeviceBuffer::allocate(kTooMuch).status();
  EXPECT_FAILS(status, Code::kResourceExhausted, "CUDA_OUT_OF_MEMORY", "free on the device");
  EXPECT_EQ(status.details().at("bytes_needed"), std::to_string(kTooMuch));
  EXPECT_GT(std::stoll(status.details().at("bytes_free")), 0);
  EXPECT_OK(DeviceBuffer::allocate(1 << 20));  // the failure left nothing behind
}

}  // namespace
}  // namespace rotor::kernels
