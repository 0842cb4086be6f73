#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/round.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kValues = 8;  // a thread; every group size is a multiple of it

template <typename Rounding>
__global__ void __launch_bounds__(kBlockThreads)
    round_rows_kernel(int64_t group_size, const float* w, const float* effective, int64_t count,
                      uint32_t* codes) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread * kValues >= count) {
    return;
  }
  float values[kValues];
  load_values(w + thread * kValues, values);
  const float scale = effective[thread * kValues / group_size];
  uint32_t packed = 0;
#pragma unroll
  for (int i = 0; i < kValues; ++i) {
    packed |= uint32_t{Rounding::code(Rounding::round(__fdiv_rn(values[i], scale)))} << (4 * i);
  }
  codes[thread] = packed;
}

}  // namespace

Status round_rows(Format format, int64_t group_size, const float* w, const float* effective,
                  int64_t rows, int64_t cols, uint8_t* codes, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_groups(format, group_size, cols));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("w", w));
  ROTOR_RETURN_IF_ERROR(check_pointer("effective", effective));
  ROTOR_RETURN_IF_ERROR(check_pointer("codes", codes));
  auto* kernel =
      format == Format::kInt4 ? &round_rows_kernel<DeviceInt4> : &round_rows_kernel<DeviceE2m1>;
  return launch("round_rows", kernel, count, kValues * kBlockThreads, stream, group_size, w,
                effective, count, reinterpret_cast<uint32_t*>(codes));
}

}  // namespace rotor::kernels
