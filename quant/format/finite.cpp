#include "quant/format/finite.h"

#include <algorithm>
#include <bit>
#include <string>

namespace rotor {

int64_t first_non_finite(const float* values, int64_t count) {
  constexpr int64_t kBlock = 1024;
  constexpr uint32_t kExponentBits = 0x7F800000U;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    uint32_t largest = 0;
    for (int64_t i = begin; i < end; ++i) {
      largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & kExponentBits);
    }
    if (largest == kExponentBits) {
      return std::find_if(values + begin, values + end,
                          [](float value) {
                            return (std::bit_cast<uint32_t>(value) & kExponentBits) ==
                                   kExponentBits;
                          }) -
             values;
    }
  }
  return -1;
}

Status check_finite(std::string_view what, const float* x, int64_t rows, int64_t cols) {
  const int64_t index = first_non_finite(x, rows * cols);
  if (index < 0) {
    return {};
  }
  const std::string row = std::to_string(index / cols);
  const std::string column = std::to_string(index % cols);
  const std::string value = std::to_string(x[index]);
  return invalid_argument(std::string(what) + " is " + value + " at row " + row + ", column " +
                          column + ": check the source model and the calibration data")
      .with_reason("NOT_FINITE")
      .with_detail("row", row)
      .with_detail("column", column)
      .with_detail("value", value);
}

}  // namespace rotor
