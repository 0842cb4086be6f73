#include "quant/checkpoint/finite_tensor.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace rotor {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;

/// Of the first element whose exponent has all its bits set; -1: there is none.
template <typename Bits>
int64_t find_exponent(const void* bytes, size_t n, Bits exponent) {
  const auto* at = static_cast<const char*>(bytes);
  for (size_t i = 0; i + sizeof(Bits) <= n; i += sizeof(Bits)) {
    Bits bits = 0;
    std::memcpy(&bits, at + i, sizeof(Bits));
    if ((bits & exponent) == exponent) {
      return static_cast<int64_t>(i / sizeof(Bits));
    }
  }
  return -1;
}

int64_t find_non_finite(DType dtype, const void* bytes, size_t n) {
  switch (dtype) {
    case DType::kBf16:
      return find_exponent<uint16_t>(bytes, n, 0x7F80);
    case DType::kF16:
      return find_exponent<uint16_t>(bytes, n, 0x7C00);
    case DType::kF32:
      return find_exponent<uint32_t>(bytes, n, 0x7F800000);
    case DType::kF64:
      return find_exponent<uint64_t>(bytes, n, 0x7FF0000000000000);
    case DType::kF8E5M2:
      return find_exponent<uint8_t>(bytes, n, 0x7C);
    case DType::kF8E4M3:  // has no infinity, and NaN alone has all bits set
      return find_exponent<uint8_t>(bytes, n, 0x7F);
    default:
      return -1;
  }
}

}  // namespace

Status check_finite_piece(const TensorSpec& spec, int64_t offset, const void* bytes, size_t n) {
  const int64_t found = find_non_finite(spec.dtype, bytes, n);
  if (found < 0) {
    return {};
  }
  const std::string element = std::to_string(offset / dtype_size(spec.dtype) + found);
  return invalid_argument("tensor " + spec.name + " holds Inf or NaN, first in element " + element +
                          " of " + describe(spec) +
                          ": fetch the model again, or correct the tensor")
      .with_reason("NOT_FINITE")
      .with_detail("tensor", spec.name)
      .with_detail("element", element);
}

Status check_finite_tensors(const TensorSource& source, std::vector<TensorSpec> tensors,
                            int64_t most_bytes) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return a.byte_size() < b.byte_size();
  });
  std::vector<char> piece(static_cast<size_t>(kPiece));
  int64_t left = most_bytes;
  for (const TensorSpec& spec : tensors) {
    left -= spec.byte_size();
    if (left < 0) {
      break;
    }
    for (int64_t offset = 0; offset < spec.byte_size(); offset += kPiece) {
      const auto n = static_cast<size_t>(std::min(kPiece, spec.byte_size() - offset));
      ROTOR_RETURN_IF_ERROR(source.read(spec.name, offset, piece.data(), n));
      ROTOR_RETURN_IF_ERROR(check_finite_piece(spec, offset, piece.data(), n));
    }
  }
  return {};
}

}  // namespace rotor
