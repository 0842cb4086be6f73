#include <algorithm>
#include <vector>

#include "quant/rotation/hadamard.h"
#include "quant/rotation/walsh_hadamard.h"

namespace rotor {
namespace {

/// The tile of rows [i, i + block) and columns [j, j + block), taken from the lower triangle.
void load_tile(const float* hessian, int64_t n, int64_t i, int64_t j, int64_t block, float* tile) {
  for (int64_t r = 0; r < block; ++r) {
    for (int64_t c = 0; c < block; ++c) {
      const int64_t row = i + r;
      const int64_t col = j + c;
      tile[r * block + c] = hessian[std::max(row, col) * n + std::min(row, col)];
    }
  }
}

/// Writes the tile to its place and, from its lower triangle on the diagonal, to the mirrored one.
void store_tile(const float* tile, int64_t n, int64_t i, int64_t j, int64_t block, float* out) {
  for (int64_t r = 0; r < block; ++r) {
    const int64_t end = i == j ? r + 1 : block;
    for (int64_t c = 0; c < end; ++c) {
      const float value = tile[r * block + c];
      out[(i + r) * n + j + c] = value;
      out[(j + c) * n + i + r] = value;
    }
  }
}

}  // namespace

Status rotate_hessian(const float* hessian, int64_t n, int64_t block, float* out,
                      Parallel& parallel) {
  ROTOR_RETURN_IF_ERROR(check_hadamard_block(n, block));
  const float norm = 1.0F / static_cast<float>(block);  // both sides; exact
  // Lower tiles are read and written by their own piece alone and upper tiles are never read, so a
  // rotation in place is safe.
  parallel.for_each(n / block, [&](int64_t tile_row) {
    std::vector<float> tile(static_cast<size_t>(block * block));
    const int64_t i = tile_row * block;
    for (int64_t j = 0; j <= i; j += block) {
      load_tile(hessian, n, i, j, block, tile.data());
      for (int64_t r = 0; r < block; ++r) {
        walsh_hadamard(tile.data() + r * block, block);
      }
      walsh_hadamard_rows(tile.data(), block, block);
      for (float& value : tile) {
        value *= norm;
      }
      store_tile(tile.data(), n, i, j, block, out);
    }
  });
  return {};
}

}  // namespace rotor
