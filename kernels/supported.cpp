#include "kernels/supported.h"

#include <algorithm>
#include <bit>
#include <span>
#include <string>

namespace rotor::kernels {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 43;

bool holds(const SizeRange& range, int64_t size) {
  return size >= range.smallest && size <= range.largest &&
         std::has_single_bit(static_cast<uint64_t>(size));
}

std::string words(const SizeRange& range) {
  if (range.smallest == range.largest) {
    return std::to_string(range.smallest);
  }
  return "powers of two from " + std::to_string(range.smallest) + " to " +
         std::to_string(range.largest);
}

Status unsupported(std::string message) {
  return unimplemented(std::move(message)).with_reason("UNSUPPORTED_ON_CUDA");
}

Status check_divides(std::string_view what, int64_t size, int64_t cols) {
  if (cols % size != 0) {
    return invalid_argument(std::string(what) + " of " + std::to_string(size) + " over " +
                            std::to_string(cols) + " columns: it must divide them")
        .with_reason("BAD_SHAPE");
  }
  return {};
}

Status check_dtype(std::string_view what, DType dtype, std::span<const DType> taken) {
  if (std::find(taken.begin(), taken.end(), dtype) != taken.end()) {
    return {};
  }
  std::string known;
  for (const DType value : taken) {
    known += (known.empty() ? "" : ", ") + std::string(dtype_name(value));
  }
  return unsupported(std::string(what) + " of " + std::string(dtype_name(dtype)) +
                     ": the CUDA kernels take " + known);
}

}  // namespace

Status check_value_dtype(std::string_view what, DType dtype) {
  return check_dtype(what, dtype, kValueDTypes);
}

Status check_weight_dtype(std::string_view what, DType dtype) {
  return check_dtype(what, dtype, kWeightDTypes);
}

Status check_groups(Format format, int64_t group_size, int64_t cols) {
  std::string known;
  for (const FormatSupport& support : kFormats) {
    if (support.format == format && holds(support.groups, group_size)) {
      return check_divides("a group", group_size, cols);
    }
    known += (known.empty() ? "" : "; ") + std::string(to_string(support.format)) + ": " +
             words(support.groups);
  }
  return unsupported("groups of " + std::to_string(group_size) + " for " +
                     std::string(to_string(format)) + ": the CUDA kernels take " + known);
}

Status check_rotation(int64_t block, int64_t cols) {
  if (!holds(kRotationBlocks, block)) {
    return unsupported("a rotation in blocks of " + std::to_string(block) +
                       ": the CUDA kernels take " + words(kRotationBlocks));
  }
  return check_divides("a rotation block", block, cols);
}

Status check_pointer(std::string_view what, const void* pointer, int64_t alignment) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): its address is what is asked
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (address == 0 || address % static_cast<uintptr_t>(alignment) != 0) {
    return invalid_argument(
               std::string(what) + " is " +
               (address == 0 ? "null" : "not aligned to " + std::to_string(alignment) + " bytes"))
        .with_reason("BAD_POINTER");
  }
  return {};
}

Result<int64_t> element_count(int64_t rows, int64_t cols) {
  if (rows < 0 || cols < 0 || (cols > 0 && rows > kMaxElements / cols)) {
    return invalid_argument("a matrix of [" + std::to_string(rows) + ", " + std::to_string(cols) +
                            "]: sizes are not negative, and 2^43 elements are the most")
        .with_reason("BAD_SHAPE");
  }
  return rows * cols;
}

}  // namespace rotor::kernels
