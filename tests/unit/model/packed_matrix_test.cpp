#include "model/packed_matrix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quant/checkpoint/memory_source.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

using Bits = std::vector<uint16_t>;

template <typename T>
StoredTensor stored(const char* name, DType dtype, std::vector<int64_t> shape,
                    const std::vector<T>& values) {
  StoredTensor tensor{{name, dtype, std::move(shape)}, {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

Result<Bits> decoded(const QuantScheme& scheme, const std::vector<StoredTensor>& tensors) {
  MemorySource source;
  for (const StoredTensor& tensor : tensors) {
    source.add(tensor);
  }
  PackedParts parts{*source.find("m.weight_packed"), *source.find("m.weight_scale")};
  parts.global_scale = source.find("m.weight_global_scale");
  parts.shape = source.find("m.weight_shape");
  const auto matrix = packed_matrix("m", scheme, parts, DType::kBf16);
  Bits values(static_cast<size_t>(matrix->spec().shape[0] * matrix->spec().shape[1]));
  ROTOR_RETURN_IF_ERROR(matrix->read_rows(source, 0, matrix->spec().shape[0], values.data()));
  return values;
}

QuantScheme scheme_of(Format format, int64_t group = 0) {
  return make_scheme(format, group, DType::kBf16).value();
}

const StoredTensor kWords = stored<uint32_t>("m.weight_packed", DType::kI32, {2, 2},
                                             {0x76543210U, 0xFEDCBA98U, 0x13579BDFU, 0x02468ACEU});
const StoredTensor kBytes = stored<uint8_t>("m.weight_packed", DType::kU8, {1, 16},
                                            {0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE, 0x10,
                                             0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE});

// What compressed-tensors 0.20.0 (PackedQuantizationCompressor.decompress) makes of the same codes
// and scales, in BF16: in groups of 8, scales in BF16 and in F32.
TEST(PackedMatrix, DecodesInt4AsTheReferenceDoes) {
  const auto halves = decoded(scheme_of(Format::kInt4, 8),
                              {kWords, stored<uint16_t>("m.weight_scale", DType::kBf16, {2, 2},
                                                        {0x3c55, 0x3e57, 0x3fda, 0x3a6c})});
  ASSERT_OK(halves);
  EXPECT_EQ(*halves, (Bits{0xbdd5, 0xbdba, 0xbda0, 0xbd85, 0xbd55, 0xbd20, 0xbcd5, 0xbc55,
                           0x0,    0x3e57, 0x3ed7, 0x3f21, 0x3f57, 0x3f86, 0x3fa1, 0x3fbc,
                           0x413f, 0x4108, 0x40a4, 0x3fda, 0xbfda, 0xc0a4, 0xc108, 0xc13f,
                           0x3bb1, 0x3b6c, 0x3aec, 0x0,    0xbaec, 0xbb6c, 0xbbb1, 0xbbec}));
  const auto wide = decoded(scheme_of(Format::kInt4, 8),
                            {kWords, stored<float>("m.weight_scale", DType::kF32, {2, 2},
                                                   {0.013F, 0.21F, 1.7F, 0.0009F})});
  ASSERT_OK(wide);
  EXPECT_EQ((Bits{wide->begin() + 16, wide->end()}),
            (Bits{0x413e, 0x4108, 0x40a3, 0x3fda, 0xbfda, 0xc0a3, 0xc108, 0xc13e, 0x3bb1, 0x3b6c,
                  0x3aec, 0x0, 0xbaec, 0xbb6c, 0xbbb1, 0xbbec}));
}

// As above, NVFP4PackedCompressor.
TEST(PackedMatrix, DecodesNvfp4AsTheReferenceDoes) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1}, std::vector<int64_t>{}}) {
    const auto values =
        decoded(scheme_of(Format::kNvfp4),
                {kBytes, stored<uint8_t>("m.weight_scale", DType::kF8E4M3, {1, 2}, {0x7E, 0x2B}),
                 stored<float>("m.weight_global_scale", DType::kF32, shape, {1234.5F})});
    ASSERT_OK(values);
    EXPECT_EQ(*values, (Bits{0x0,    0x3e3a, 0x3eba, 0x3f0b, 0x3f3a, 0x3f8b, 0x3fba, 0x400b,
                             0x8000, 0xbe3a, 0xbeba, 0xbf0b, 0xbf3a, 0xbf8b, 0xbfba, 0xc00b,
                             0x0,    0x3912, 0x3992, 0x39db, 0x3a12, 0x3a5b, 0x3a92, 0x3adb,
                             0x8000, 0xb912, 0xb992, 0xb9db, 0xba12, 0xba5b, 0xba92, 0xbadb}));
  }
}

// As above, MXFP4PackedCompressor.
TEST(PackedMatrix, DecodesMxfp4AsTheReferenceDoes) {
  const Bits half = {0x0,    0x3c00, 0x3c80, 0x3cc0, 0x3d00, 0x3d40, 0x3d80, 0x3dc0,
                     0x8000, 0xbc00, 0xbc80, 0xbcc0, 0xbd00, 0xbd40, 0xbd80, 0xbdc0};
  for (const DType dtype : {DType::kU8, DType::kF8E8M0}) {
    const auto values = decoded(scheme_of(Format::kMxfp4),
                                {kBytes, stored<uint8_t>("m.weight_scale", dtype, {1, 1}, {121})});
    ASSERT_OK(values);
    EXPECT_EQ((Bits{values->begin(), values->begin() + 16}), half);
    EXPECT_EQ((Bits{values->begin() + 16, values->end()}), half);
  }
}

TEST(PackedMatrix, HoldsTheStoredShapeAgainstTheCodes) {
  const StoredTensor scales = stored<float>("m.weight_scale", DType::kF32, {2, 1}, {1.0F, 1.0F});
  const QuantScheme scheme = scheme_of(Format::kInt4, 16);
  EXPECT_OK(decoded(
      scheme, {kWords, scales, stored<int32_t>("m.weight_shape", DType::kI32, {2}, {2, 16})}));
  EXPECT_OK(decoded(
      scheme, {kWords, scales, stored<int64_t>("m.weight_shape", DType::kI64, {2}, {2, 16})}));
  EXPECT_FAILS(decoded(scheme, {kWords, scales,
                                stored<int32_t>("m.weight_shape", DType::kI32, {2}, {2, 15})}),
               Code::kInvalidArgument, "BAD_TENSOR_SHAPE", "m.weight_shape says BF16 [2, 15]");
}

TEST(PackedMatrix, AScaleThatIsNoNumberIsNamed) {
  EXPECT_FAILS(decoded(scheme_of(Format::kMxfp4),
                       {kBytes, stored<uint8_t>("m.weight_scale", DType::kU8, {1, 1}, {255})}),
               Code::kInvalidArgument, "NOT_FINITE", "m.weight_scale");
  const StoredTensor scales =
      stored<uint8_t>("m.weight_scale", DType::kF8E4M3, {1, 2}, {0x7E, 0x2B});
  EXPECT_FAILS(
      decoded(scheme_of(Format::kNvfp4),
              {kBytes, scales,
               stored<uint32_t>("m.weight_global_scale", DType::kF32, {1}, {0x7fc00000U})}),
      Code::kInvalidArgument, "NOT_FINITE", "m.weight_global_scale");
  EXPECT_FAILS(
      decoded(scheme_of(Format::kNvfp4),
              {kBytes, scales, stored<float>("m.weight_global_scale", DType::kF32, {1}, {0.0F})}),
      Code::kInvalidArgument, "BAD_CHECKPOINT", "m.weight_global_scale");
}

}  // namespace
}  // namespace rotor
