#include "model/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "model/round_values.h"
#include "model/stored_scales.h"
#include "quant/base/parallel.h"
#include "quant/checkpoint/module_tensors.h"
#include "quant/format/codes.h"

namespace rotor {
namespace {

constexpr int64_t kBandElements = int64_t{1} << 20;
constexpr int64_t kCodesInAByte = 2;

ModuleTable table_of(const PackedParts& parts) {
  ModuleTable table;
  table.codes = ".weight_packed";
  table.codes_dtype = parts.codes.dtype;
  table.scales = ".weight_scale";
  table.scales_dtype = parts.scales.dtype;
  if (parts.global_scale != nullptr) {
    table.global_scale = ".weight_global_scale";
    table.scalar_shape = parts.global_scale->shape;
  }
  return table;
}

class PackedMatrix final : public DecodedTensor {
 public:
  PackedMatrix(const std::string& module, const QuantScheme& scheme, const PackedParts& parts,
               DType dtype)
      : DecodedTensor({module + ".weight",
                       dtype,
                       {parts.codes.shape[0],
                        parts.codes.shape[1] * dtype_size(parts.codes.dtype) * kCodesInAByte}}),
        module_(module),
        scheme_(scheme),
        table_(table_of(parts)),
        codes_(parts.codes.name),
        scales_(parts.scales.name),
        global_scale_(parts.global_scale == nullptr ? TensorSpec() : *parts.global_scale),
        shape_(parts.shape == nullptr ? TensorSpec() : *parts.shape) {}

  std::vector<std::string> parts() const override {
    std::vector<std::string> names = {codes_, scales_};
    for (const std::string& name : {global_scale_.name, shape_.name}) {
      if (!name.empty()) {
        names.push_back(name);
      }
    }
    return names;
  }

  std::optional<Format> four_bit_format() const override { return scheme_.format; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    ROTOR_RETURN_IF_ERROR(check_shape(stored));
    ROTOR_RETURN_IF_ERROR(check_global_scale(stored));
    const int64_t cols = spec().shape[1];
    const int64_t band = std::max<int64_t>(kBandElements / std::max<int64_t>(cols, 1), 1);
    for (int64_t row = 0; row < count; row += band) {
      void* to = static_cast<char*>(out) + row * cols * dtype_size(spec().dtype);
      ROTOR_RETURN_IF_ERROR(read_band(stored, first + row, std::min(band, count - row), to));
    }
    return {};
  }

 private:
  Status read_band(const TensorSource& stored, int64_t first, int64_t count, void* out) const {
    ROTOR_ASSIGN_OR_RETURN(const QuantizedMatrix matrix,
                           decode_module_rows(table_, module_, scheme_, stored, first, count));
    std::vector<float> scales(static_cast<size_t>(count * matrix.groups()));
    effective_scales(matrix.scheme, matrix.scales.data(), std::ssize(scales), matrix.global_scale,
                     scales.data());
    ROTOR_RETURN_IF_ERROR(check_scales(scales_, scales));
    std::vector<float> values(static_cast<size_t>(count * matrix.cols));
    SerialParallel serial;
    dequantize_codes(matrix.scheme, matrix.codes.data(), scales.data(), count, matrix.cols,
                     values.data(), serial);
    round_values(values.data(), std::ssize(values), spec().dtype, out);
    return {};
  }

  Status check_global_scale(const TensorSource& stored) const {
    if (global_scale_.name.empty()) {
      return {};
    }
    ROTOR_ASSIGN_OR_RETURN(const std::vector<float> scale,
                           read_scales(stored, global_scale_, 0, 1));
    if (scale[0] > 0.0F) {
      return {};
    }
    return invalid_argument("tensor " + global_scale_.name + " is " + std::to_string(scale[0]) +
                            ", and must be positive: fetch the model again")
        .with_reason("BAD_CHECKPOINT")
        .with_detail("tensor", global_scale_.name);
  }

  Status check_shape(const TensorSource& stored) const {
    if (shape_.name.empty()) {
      return {};
    }
    ROTOR_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, read_tensor(stored, shape_.name));
    std::vector<int64_t> shape(2);
    const auto size = static_cast<size_t>(dtype_size(shape_.dtype));
    for (size_t i = 0; i < shape.size(); ++i) {
      // Little-endian, and a size is never negative: the upper half of an I32's stays 0.
      std::memcpy(&shape[i], bytes.data() + i * size, size);
    }
    if (shape == spec().shape) {
      return {};
    }
    return invalid_argument("tensor " + shape_.name + " says " +
                            describe({"", spec().dtype, shape}) + ", and the codes are of " +
                            describe(spec()) + ": fetch the model again")
        .with_reason("BAD_TENSOR_SHAPE")
        .with_detail("tensor", shape_.name);
  }

  std::string module_;
  QuantScheme scheme_;
  ModuleTable table_;
  std::string codes_;
  std::string scales_;
  TensorSpec global_scale_;  // without a name: there is none
  TensorSpec shape_;
};

}  // namespace

std::unique_ptr<const DecodedTensor> packed_matrix(const std::string& module,
                                                   const QuantScheme& scheme,
                                                   const PackedParts& parts, DType dtype) {
  return std::make_unique<PackedMatrix>(module, scheme, parts, dtype);
}

}  // namespace rotor
