#include "quant/rotation/hadamard.h"

#include <bit>
#include <cmath>
#include <string>

#include "quant/format/bf16.h"
#include "quant/rotation/walsh_hadamard.h"

namespace rotor {

Status check_hadamard_block(int64_t width, int64_t block) {
  if (block < 2 || block > kMaxHadamardBlock ||
      !std::has_single_bit(static_cast<uint64_t>(block)) || width % block != 0) {
    return invalid_argument("a rotation in blocks of " + std::to_string(block) +
                            " over a width of " + std::to_string(width) +
                            ": choose a power of two in 2.." + std::to_string(kMaxHadamardBlock) +
                            " that divides it")
        .with_reason("BAD_ROTATION");
  }
  return {};
}

Status rotate_rows(const void* x, DType dtype, int64_t rows, int64_t cols, int64_t block,
                   float* out, Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_hadamard_block(cols, block));
  ROTOR_RETURN_IF_ERROR(widen_to_f32(x, dtype, 0, out));  // refuses a dtype before any row is done
  const auto* bytes = static_cast<const char*>(x);
  const int64_t row_bytes = cols * dtype_size(dtype);
  const float norm = 1.0F / std::sqrt(static_cast<float>(block));
  parallel.for_each(rows, [&](int64_t row) {
    float* y = out + row * cols;
    (void)widen_to_f32(bytes + row * row_bytes, dtype, cols, y);
    for (int64_t c = 0; c < cols; c += block) {
      walsh_hadamard(y + c, block);
    }
    for (int64_t c = 0; c < cols; ++c) {
      y[c] *= norm;
    }
  });
  return {};
}

}  // namespace rotor
