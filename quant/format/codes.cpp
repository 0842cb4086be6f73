#include "quant/format/codes.h"

#include <cstring>
#include <string>

#include "quant/format/bf16.h"
#include "quant/format/e2m1.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"
#include "quant/format/int4.h"

namespace rotor {
namespace {

constexpr std::array<float, 16> make_int4_values() {
  std::array<float, 16> values{};
  for (uint8_t code = 0; code < 16; ++code) {
    values[code] = int4_decode(code);
  }
  return values;
}

constexpr std::array<float, 16> kInt4Values = make_int4_values();

template <typename T>
T load(const uint8_t* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

void dequantize_row(const std::array<float, 16>& values, int64_t group_size, const uint8_t* codes,
                    const float* effective, int64_t cols, float* out) {
  for (int64_t group = 0; group * group_size < cols; ++group) {
    const float scale = effective[group];
    for (int64_t c = group * group_size; c < (group + 1) * group_size; c += 2) {
      const uint8_t pair = codes[c / 2];
      out[c] = dequantized(values[pair & 15U], scale);
      out[c + 1] = dequantized(values[pair >> 4], scale);
    }
  }
}

}  // namespace

const std::array<float, 16>& code_values(Format format) {
  return format == Format::kInt4 ? kInt4Values : kE2m1Values;
}

float decode_scale(DType dtype, const uint8_t* stored, int64_t index) {
  switch (dtype) {
    case DType::kF8E4M3:
      return e4m3_decode(stored[index]);
    case DType::kBf16:
      return bf16_to_f32(load<uint16_t>(stored, index));
    case DType::kF16:
      return f16_to_f32(load<uint16_t>(stored, index));
    case DType::kF32:
      return load<float>(stored, index);
    default:
      return e8m0_decode(stored[index]);
  }
}

void effective_scales(const QuantScheme& scheme, const uint8_t* stored, int64_t count,
                      float global_scale, float* out) {
  const bool multiplies = scheme.global == GlobalScale::kMultiplier;
  for (int64_t i = 0; i < count; ++i) {
    const float scale = decode_scale(scheme.scale_dtype, stored, i);
    out[i] = multiplies ? scale * global_scale : scale / global_scale;
  }
}

void pack_nibbles(const uint8_t* codes, int64_t count, uint8_t* packed) {
  for (int64_t j = 0; j < count / 2; ++j) {
    packed[j] = static_cast<uint8_t>(codes[2 * j] | (codes[2 * j + 1] << 4));
  }
}

void unpack_nibbles(const uint8_t* packed, int64_t count, uint8_t* codes) {
  for (int64_t j = 0; j < count / 2; ++j) {
    codes[2 * j] = packed[j] & 15U;
    codes[2 * j + 1] = packed[j] >> 4;
  }
}

void dequantize_codes(const QuantScheme& scheme, const uint8_t* codes, const float* effective,
                      int64_t rows, int64_t cols, float* out, Parallel& parallel) {
  const std::array<float, 16>& values = code_values(scheme.format);
  const int64_t groups = cols / scheme.group_size;
  parallel.for_each(rows, [&](int64_t row) {
    dequantize_row(values, scheme.group_size, codes + row * (cols / 2), effective + row * groups,
                   cols, out + row * cols);
  });
}

Status dequantize_rows(const QuantizedMatrix& matrix, int64_t row_begin, int64_t count,
                       float* out) {
  const QuantScheme& scheme = matrix.scheme;
  const int64_t scale_bytes = matrix.groups() * dtype_size(scheme.scale_dtype);
  if (matrix.cols % scheme.group_size != 0 ||
      static_cast<int64_t>(matrix.codes.size()) != matrix.rows * (matrix.cols / 2) ||
      static_cast<int64_t>(matrix.scales.size()) != matrix.rows * scale_bytes) {
    return invalid_argument("a quantized matrix [" + std::to_string(matrix.rows) + ", " +
                            std::to_string(matrix.cols) + "] with " +
                            std::to_string(matrix.codes.size()) + " bytes of codes and " +
                            std::to_string(matrix.scales.size()) + " of scales")
        .with_reason("BAD_SHAPE");
  }
  if (row_begin < 0 || count < 0 || row_begin > matrix.rows - count) {
    return out_of_range("rows [" + std::to_string(row_begin) + ", " +
                        std::to_string(row_begin + count) + ") of a matrix with " +
                        std::to_string(matrix.rows))
        .with_reason("BAD_SHAPE");
  }
  std::vector<float> effective(static_cast<size_t>(matrix.groups()));
  for (int64_t row = row_begin; row < row_begin + count; ++row) {
    effective_scales(scheme, matrix.scales.data() + row * scale_bytes, matrix.groups(),
                     matrix.global_scale, effective.data());
    dequantize_row(code_values(scheme.format), scheme.group_size,
                   matrix.codes.data() + row * (matrix.cols / 2), effective.data(), matrix.cols,
                   out + (row - row_begin) * matrix.cols);
  }
  return {};
}

}  // namespace rotor
