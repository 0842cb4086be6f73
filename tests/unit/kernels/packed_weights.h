// Random 4-bit weights for tests of products, packed on the GPU, and what they are worth.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/packed_weight.h"
#include "quant/format/bf16.h"
#include "quant/format/codes.h"
#include "quant/quantized_matrix.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {

/// Any code, and scales that stay finite: E4M3 of all magnitudes, E8M0 around 1, BF16, F16 or F32.
inline QuantizedMatrix random_matrix(const QuantScheme& scheme, int64_t rows, int64_t cols,
                                     std::mt19937_64& generator) {
  QuantizedMatrix matrix{scheme, rows, cols, {}, {}, 1.0F, 0.0F};
  std::uniform_int_distribution<int> byte(0, 255);
  for (int64_t i = 0; i < rows * cols / 2; ++i) {
    matrix.codes.push_back(static_cast<uint8_t>(byte(generator)));
  }
  for (int64_t i = 0; i < rows * matrix.groups(); ++i) {
    if (scheme.format == Format::kNvfp4) {
      matrix.scales.push_back(static_cast<uint8_t>(byte(generator) % 127));
    } else if (scheme.format == Format::kMxfp4) {
      matrix.scales.push_back(static_cast<uint8_t>(117 + byte(generator) % 20));
    } else {
      const float value = std::ldexp(1.0F + static_cast<float>(byte(generator)) / 256.0F, -6);
      const auto put = [&](auto bits) {
        for (size_t b = 0; b < sizeof(bits); ++b) {
          matrix.scales.push_back(static_cast<uint8_t>(bits >> (8 * b)));
        }
      };
      if (scheme.scale_dtype == DType::kF32) {
        put(std::bit_cast<uint32_t>(value));
      } else {
        put(scheme.scale_dtype == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value));
      }
    }
  }
  if (scheme.format == Format::kNvfp4) {
    matrix.global_scale = scheme.global == GlobalScale::kMultiplier ? 1.0F / 3000.0F : 3000.0F;
  } else if (scheme.global == GlobalScale::kThree) {
    matrix.global_scale = 3.0F;
  }
  return matrix;
}

/// [rows, cols]: what the matrix stands for.
inline std::vector<float> weights_of(const QuantizedMatrix& matrix) {
  std::vector<float> weights(static_cast<size_t>(matrix.rows * matrix.cols));
  EXPECT_OK(dequantize_rows(matrix, 0, matrix.rows, weights.data()));
  return weights;
}

/// The product x [m, cols] times weights^T and, for each value, the sum of its terms' magnitudes.
struct Reference {
  std::vector<double> product;
  std::vector<double> magnitude;
};

inline Reference reference_product(const std::vector<float>& x, int64_t m,
                                   const std::vector<float>& weights, int64_t cols) {
  const auto k = static_cast<size_t>(cols);
  const size_t rows = weights.size() / k;
  Reference reference;
  for (size_t i = 0; i < static_cast<size_t>(m); ++i) {
    for (size_t n = 0; n < rows; ++n) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (size_t c = 0; c < k; ++c) {
        const double term = double{x[i * k + c]} * double{weights[n * k + c]};
        sum += term;
        magnitude += std::abs(term);
      }
      reference.product.push_back(sum);
      reference.magnitude.push_back(magnitude);
    }
  }
  return reference;
}

inline const QuantScheme kPackedSchemes[] = {
    {Format::kNvfp4, 16, DType::kF8E4M3, GlobalScale::kDivisor},
    {Format::kNvfp4, 16, DType::kF8E4M3, GlobalScale::kMultiplier},
    {Format::kMxfp4, 32, DType::kU8, GlobalScale::kDivisor},
    {Format::kMxfp4, 32, DType::kU8, GlobalScale::kThree},
    {Format::kInt4, 16, DType::kBf16, GlobalScale::kDivisor},
    {Format::kInt4, 32, DType::kF16, GlobalScale::kDivisor},
    {Format::kInt4, 64, DType::kF32, GlobalScale::kDivisor},
    {Format::kInt4, 128, DType::kBf16, GlobalScale::kDivisor},
    {Format::kInt4, 256, DType::kBf16, GlobalScale::kDivisor}};

class PackedTest : public CudaTest {
 protected:
  struct OnDevice {
    DeviceBuffer memory;
    PackedWeight weight;
  };

  OnDevice packed(const QuantizedMatrix& matrix) {
    const DeviceBuffer codes = upload(matrix.codes);
    const DeviceBuffer scales = upload(matrix.scales);
    const Result<int64_t> bytes = packed_weight_bytes(matrix.scheme, matrix.rows, matrix.cols);
    EXPECT_OK(bytes);
    DeviceBuffer memory = poisoned(DType::kU8, *bytes);
    const Result<PackedWeight> weight =
        pack_weight(matrix.scheme, matrix.rows, matrix.cols, codes.as<uint8_t>(),
                    scales.as<uint8_t>(), matrix.global_scale, memory.data(), stream());
    EXPECT_OK(weight);
    synchronize();
    return {std::move(memory), *weight};
  }

  /// Every value of `out` [m, rows] is the product's: rounded to BF16 once, summed in F32, of
  /// weights that are off by `weight_error` of themselves at most.
  void expect_product(const Reference& reference, int64_t rows, const DeviceBuffer& out,
                      double weight_error = 0.0) {
    std::vector<double> bounds;
    for (size_t i = 0; i < reference.product.size(); ++i) {
      bounds.push_back(std::abs(reference.product[i]) * 0x1p-8 +
                       reference.magnitude[i] * (0x1p-18 + weight_error));
    }
    expect_near(reference.product, bounds, rows, DType::kBf16, out);
  }
};

}  // namespace rotor::kernels
