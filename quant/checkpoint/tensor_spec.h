// What a file says about a tensor, and where a layout reads tensors from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major; empty: a scalar; every dimension >= 0

  /// Bytes of the tensor; the shape's product must not overflow (checked_byte_size).
  int64_t byte_size() const;
  bool operator==(const TensorSpec&) const = default;
};

/// A tensor with its bytes, little-endian and row-major.
struct StoredTensor {
  TensorSpec spec;
  std::vector<uint8_t> bytes;
};

/// Bytes of a tensor; empty if the product overflows 2^48 - 1 or a dimension is negative.
std::optional<int64_t> checked_byte_size(DType dtype, const std::vector<int64_t>& shape);

/// "F32 [3, 4]", for messages.
std::string describe(const TensorSpec& spec);

/// Tensors by name: a checkpoint directory, or a map in memory. Implementations say how they are
/// shared between threads; those of this folder may be read from any thread.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// Null if there is none of that name; valid as long as the source.
  virtual const TensorSpec* find(const std::string& name) const = 0;
  /// Bytes [offset, offset + n) of a tensor. Errors: NOT_FOUND (reason MISSING_TENSOR) names tensor
  /// and file; a range outside the tensor; a read error.
  virtual Status read(const std::string& name, int64_t offset, void* dst, size_t n) const = 0;
};

/// NOT_FOUND, reason MISSING_TENSOR, for `place` (a file or directory) without tensor `name`.
Status missing_tensor(const std::string& place, const std::string& name);

/// OUT_OF_RANGE unless bytes [offset, offset + n) lie within the tensor.
Status check_range(const TensorSpec& spec, int64_t offset, size_t n);

/// The whole of a tensor.
Result<std::vector<uint8_t>> read_tensor(const TensorSource& source, const std::string& name);

}  // namespace rotor
