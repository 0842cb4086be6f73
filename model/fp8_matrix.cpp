#include "model/fp8_matrix.h"

#include <algorithm>
#include <string>
#include <vector>

#include "model/round_values.h"
#include "model/stored_scales.h"
#include "quant/format/e4m3.h"

namespace rotor {
namespace {

class Fp8Matrix final : public DecodedTensor {
 public:
  Fp8Matrix(const TensorSpec& codes, const TensorSpec& scales, const ScaleBlock& block, DType dtype)
      : DecodedTensor({codes.name, dtype, codes.shape}), scales_(scales), block_(block) {}

  std::vector<std::string> parts() const override { return {spec().name, scales_.name}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t cols = spec().shape[1];
    std::vector<uint8_t> codes(static_cast<size_t>(count * cols));
    ROTOR_RETURN_IF_ERROR(stored.read(spec().name, first * cols, codes.data(), codes.size()));
    const int64_t across = blocks_in(cols, block_.cols);
    const int64_t first_block = first / block_.rows;
    const int64_t down = blocks_in(first + count, block_.rows) - first_block;
    ROTOR_ASSIGN_OR_RETURN(const std::vector<float> scales,
                           read_scales(stored, scales_, first_block * across, down * across));
    std::vector<float> row(static_cast<size_t>(cols));
    const int64_t row_bytes = cols * dtype_size(spec().dtype);
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t* code = codes.data() + i * cols;
      const float* scale = scales.data() + ((first + i) / block_.rows - first_block) * across;
      for (int64_t col = 0; col < cols; col += block_.cols, ++scale) {
        const int64_t end = std::min(col + block_.cols, cols);
        std::transform(code + col, code + end, row.begin() + col,
                       [&](uint8_t byte) { return e4m3_decode(byte) * *scale; });
      }
      round_values(row.data(), cols, spec().dtype, static_cast<char*>(out) + i * row_bytes);
    }
    return {};
  }

 private:
  TensorSpec scales_;
  ScaleBlock block_;
};

}  // namespace

std::unique_ptr<const DecodedTensor> fp8_matrix(const TensorSpec& codes, const TensorSpec& scales,
                                                const ScaleBlock& block, DType dtype) {
  return std::make_unique<Fp8Matrix>(codes, scales, block, dtype);
}

}  // namespace rotor
