// What the CUDA kernels can do, in one place; every launcher checks against it before it touches a
// device.
//
//   values          F32, BF16, in and out of every kernel; pointers aligned to 16 bytes
//   weights         F32, BF16, F16, where a kernel reads them as they are in a checkpoint
//   rotation        blocks that are powers of two, 16 to 256
//   groups          powers of two: NVFP4 16, MXFP4 32, INT4 16 to 256
//   devices         compute capability 8.0 and newer (the build's CMAKE_CUDA_ARCHITECTURES)
//
// Thread-safety: pure functions; no CUDA call. Cost: nothing beside a launch.
// Errors: UNIMPLEMENTED with reason UNSUPPORTED_ON_CUDA for what the table leaves out, with what it
// holds in the message; INVALID_ARGUMENT with BAD_SHAPE or BAD_POINTER for what is wrong anywhere.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "quant/base/dtype.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// Powers of two from smallest to largest.
struct SizeRange {
  int64_t smallest;
  int64_t largest;
};

struct FormatSupport {
  Format format;
  SizeRange groups;
};

inline constexpr std::array kValueDTypes{DType::kF32, DType::kBf16};
inline constexpr std::array kWeightDTypes{DType::kF32, DType::kBf16, DType::kF16};
inline constexpr SizeRange kRotationBlocks{16, 256};
inline constexpr std::array kFormats{FormatSupport{Format::kNvfp4, {16, 16}},
                                     FormatSupport{Format::kMxfp4, {32, 32}},
                                     FormatSupport{Format::kInt4, {16, 256}}};
/// Bytes that every device pointer is a multiple of, unless its kernel says less.
inline constexpr int64_t kPointerAlignment = 16;

Status check_value_dtype(std::string_view what, DType dtype);
Status check_weight_dtype(std::string_view what, DType dtype);
/// The group size of a format, and that it divides `cols`.
Status check_groups(Format format, int64_t group_size, int64_t cols);
/// The block of a rotation, and that it divides `cols`.
Status check_rotation(int64_t block, int64_t cols);
/// Neither null nor misaligned.
Status check_pointer(std::string_view what, const void* pointer,
                     int64_t alignment = kPointerAlignment);
/// rows * cols, both not negative and few enough for one launch (2^43 elements).
Result<int64_t> element_count(int64_t rows, int64_t cols);

}  // namespace rotor::kernels
