#include <bit>

#include "kernels/dequantize.h"
#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/device/vector_io.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// Vectors a thread writes, each kBlockThreads vectors after the one before: enough loads in flight
/// to cover their latency.
constexpr int kVectorsPerThread = 4;

template <typename Out>
constexpr int kWidth = 16 / static_cast<int>(sizeof(Out));  // values of a 16-byte store

template <bool kInt4>
__device__ __forceinline__ float decode(uint32_t code) {
  return kInt4 ? device_int4_decode(code) : device_e2m1_decode(code);
}

/// kWidth codes, the first in the lowest nibble.
template <int kCount>
__device__ __forceinline__ uint32_t load_codes(const uint8_t* codes) {
  if constexpr (kCount == 8) {
    return *reinterpret_cast<const uint32_t*>(codes);
  } else {
    static_assert(kCount == 4);
    return *reinterpret_cast<const uint16_t*>(codes);
  }
}

template <bool kInt4, typename Out>
__global__ void __launch_bounds__(kBlockThreads)
    dequantize_kernel(const uint8_t* __restrict__ codes, const float* __restrict__ effective,
                      int64_t count, int group_shift, Out* __restrict__ out) {
  constexpr int kStep = kBlockThreads * kWidth<Out>;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kStep * kVectorsPerThread +
                        static_cast<int64_t>(threadIdx.x) * kWidth<Out>;
  uint32_t packed[kVectorsPerThread] = {};
  float scale[kVectorsPerThread] = {};
#pragma unroll
  for (int j = 0; j < kVectorsPerThread; ++j) {
    const int64_t element = begin + j * kStep;
    if (element < count) {
      packed[j] = load_codes<kWidth<Out>>(codes + element / 2);
      scale[j] = effective[element >> group_shift];
    }
  }
#pragma unroll
  for (int j = 0; j < kVectorsPerThread; ++j) {
    const int64_t element = begin + j * kStep;
    if (element < count) {
      float values[kWidth<Out>];
#pragma unroll
      for (int i = 0; i < kWidth<Out>; ++i) {
        values[i] = __fmul_rn(decode<kInt4>(packed[j] >> (4 * i)), scale[j]);
      }
      store_values(out + element, values);
    }
  }
}

}  // namespace

Status dequantize_codes(Format format, int64_t group_size, const uint8_t* codes,
                        const float* effective, int64_t rows, int64_t cols, void* out,
                        DType out_dtype, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_groups(format, group_size, cols));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("out", out_dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("codes", codes));
  ROTOR_RETURN_IF_ERROR(check_pointer("effective", effective));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  const int group_shift = std::countr_zero(static_cast<uint64_t>(group_size));
  return with_typed(out, out_dtype, [&]<typename Out>(Out* destination) {
    const auto kernel =
        format == Format::kInt4 ? &dequantize_kernel<true, Out> : &dequantize_kernel<false, Out>;
    return launch("dequantize_codes", kernel, count,
                  kBlockThreads * kVectorsPerThread * kWidth<Out>, stream, codes, effective, count,
                  group_shift, destination);
  });
}

}  // namespace rotor::kernels
