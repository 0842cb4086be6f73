// Element types, named as safetensors names them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rotor {

enum class DType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBf16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64,
};

/// Bytes of one element: 1, 2, 4 or 8.
int64_t dtype_size(DType dtype);
/// "BF16", "F8_E4M3", ...
std::string_view dtype_name(DType dtype);
/// The inverse of dtype_name; empty for a name safetensors does not have.
std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace rotor
