#include "quant/checkpoint/compressed_tensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "quant/checkpoint/compressed_tensors_config.h"
#include "quant/checkpoint/rotation_groups.h"

namespace rotor {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they are in memory");

constexpr const char* kPacked = ".weight_packed";
constexpr const char* kScale = ".weight_scale";
constexpr const char* kShape = ".weight_shape";
constexpr const char* kGlobalScale = ".weight_global_scale";
constexpr const char* kInputGlobalScale = ".input_global_scale";

bool has_input_scale(const QuantScheme& scheme, Activations activations) {
  return scheme.format == Format::kNvfp4 && activations == Activations::kA4;
}

template <typename T>
StoredTensor stored(TensorSpec spec, const std::vector<T>& values) {
  StoredTensor tensor{std::move(spec), {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

Status bad_matrix(const std::string& module, const std::string& what) {
  return internal_error("module " + module + ": " + what).with_detail("module", module);
}

bool usable(float global_scale) {
  return std::isfinite(global_scale) && global_scale > 0.0F;
}

Status check_matrix(const std::string& module, Activations activations,
                    const QuantizedMatrix& matrix) {
  const QuantScheme& scheme = matrix.scheme;
  if (matrix.rows <= 0 || matrix.cols <= 0 || matrix.cols % scheme.group_size != 0) {
    return bad_matrix(module, "shape [" + std::to_string(matrix.rows) + ", " +
                                  std::to_string(matrix.cols) + "] with groups of " +
                                  std::to_string(scheme.group_size));
  }
  const int64_t code_bytes = matrix.rows * matrix.cols / 2;
  const int64_t scale_bytes = matrix.rows * matrix.groups() * dtype_size(scheme.scale_dtype);
  if (std::ssize(matrix.codes) != code_bytes || std::ssize(matrix.scales) != scale_bytes) {
    return bad_matrix(module, std::to_string(matrix.codes.size()) + " bytes of codes and " +
                                  std::to_string(matrix.scales.size()) + " of scales, not " +
                                  std::to_string(code_bytes) + " and " +
                                  std::to_string(scale_bytes));
  }
  if (scheme.format == Format::kNvfp4 && !usable(matrix.global_scale)) {
    return bad_matrix(module, "global scale " + std::to_string(matrix.global_scale));
  }
  if (has_input_scale(scheme, activations) && !usable(matrix.input_global_scale)) {
    return bad_matrix(module, "input global scale " + std::to_string(matrix.input_global_scale));
  }
  return {};
}

Status bad_stored(const std::string& tensor, const std::string& what) {
  return data_loss("tensor " + tensor + ": " + what + "; quantize the model again")
      .with_reason("BAD_CHECKPOINT")
      .with_detail("tensor", tensor);
}

Result<const TensorSpec*> require_tensor(const TensorSource& source, const std::string& name,
                                         DType dtype) {
  const TensorSpec* spec = source.find(name);
  if (spec == nullptr) {
    return bad_stored(name, "missing");
  }
  if (spec->dtype != dtype) {
    return bad_stored(name,
                      describe(*spec) + ", where " + std::string(dtype_name(dtype)) + " is needed");
  }
  return spec;
}

Status require_shape(const TensorSpec& spec, const std::vector<int64_t>& shape) {
  if (spec.shape == shape) {
    return {};
  }
  return bad_stored(spec.name, describe(spec) + ", where " +
                                   describe({spec.name, spec.dtype, shape}) + " is needed");
}

Result<float> read_global_scale(const TensorSource& source, const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const TensorSpec* spec, require_tensor(source, name, DType::kF32));
  ROTOR_RETURN_IF_ERROR(require_shape(*spec, {1}));
  float value = 0.0F;
  ROTOR_RETURN_IF_ERROR(source.read(name, 0, &value, sizeof(value)));
  if (!usable(value)) {
    return bad_stored(name, std::to_string(value) + ", where a positive number is needed");
  }
  return value;
}

Status check_weight_shape(const TensorSource& source, const std::string& name, int64_t rows,
                          int64_t cols) {
  ROTOR_ASSIGN_OR_RETURN(const TensorSpec* spec, require_tensor(source, name, DType::kI64));
  ROTOR_RETURN_IF_ERROR(require_shape(*spec, {2}));
  int64_t stored_shape[2] = {0, 0};
  ROTOR_RETURN_IF_ERROR(source.read(name, 0, stored_shape, sizeof(stored_shape)));
  if (stored_shape[0] == rows && stored_shape[1] == cols) {
    return {};
  }
  return bad_stored(name, "says [" + std::to_string(stored_shape[0]) + ", " +
                              std::to_string(stored_shape[1]) + "], the codes are of [" +
                              std::to_string(rows) + ", " + std::to_string(cols) + "]");
}

// The scheme as this module's scales are stored: INT4's dtype is the model's, which only they know.
Result<QuantScheme> stored_scheme(const std::string& module, QuantScheme scheme,
                                  const TensorSource& source) {
  const TensorSpec* spec = source.find(module + kScale);
  const bool is_float =
      spec != nullptr &&
      (spec->dtype == DType::kBf16 || spec->dtype == DType::kF16 || spec->dtype == DType::kF32);
  if (scheme.format == Format::kInt4 && is_float) {
    scheme.scale_dtype = spec->dtype;
  }
  ROTOR_ASSIGN_OR_RETURN(spec, require_tensor(source, module + kScale, scheme.scale_dtype));
  return scheme;
}

}  // namespace

std::vector<TensorSpec> CompressedTensorsLayout::tensor_specs(const QuantizedModule& module,
                                                              const QuantScheme& scheme,
                                                              Activations activations) const {
  const bool int4 = scheme.format == Format::kInt4;
  const int64_t rows = module.rows;
  const int64_t cols = module.cols;
  std::vector<TensorSpec> specs{
      {module.name + kPacked, int4 ? DType::kI32 : DType::kU8, {rows, cols / (int4 ? 8 : 2)}},
      {module.name + kScale, scheme.scale_dtype, {rows, cols / scheme.group_size}}};
  if (int4) {
    specs.push_back({module.name + kShape, DType::kI64, {2}});
  }
  if (scheme.format == Format::kNvfp4) {
    specs.push_back({module.name + kGlobalScale, DType::kF32, {1}});
  }
  if (has_input_scale(scheme, activations)) {
    specs.push_back({module.name + kInputGlobalScale, DType::kF32, {1}});
  }
  return specs;
}

Result<std::vector<StoredTensor>> CompressedTensorsLayout::encode(const std::string& module,
                                                                  Activations activations,
                                                                  QuantizedMatrix&& matrix) const {
  ROTOR_RETURN_IF_ERROR(check_matrix(module, activations, matrix));
  const std::vector<TensorSpec> specs =
      tensor_specs({module, matrix.rows, matrix.cols, 0}, matrix.scheme, activations);
  std::vector<StoredTensor> tensors;
  tensors.push_back({specs[0], std::move(matrix.codes)});
  tensors.push_back({specs[1], std::move(matrix.scales)});
  for (size_t i = 2; i < specs.size(); ++i) {
    const std::string_view suffix = std::string_view(specs[i].name).substr(module.size());
    if (suffix == kShape) {
      tensors.push_back(stored<int64_t>(specs[i], {matrix.rows, matrix.cols}));
    } else {
      const bool input = suffix == kInputGlobalScale;
      tensors.push_back(
          stored<float>(specs[i], {input ? matrix.input_global_scale : matrix.global_scale}));
    }
  }
  return tensors;
}

Result<QuantizedModule> CompressedTensorsLayout::stored_shape(const std::string& module,
                                                              const QuantScheme& scheme,
                                                              const TensorSource& source) const {
  const bool int4 = scheme.format == Format::kInt4;
  ROTOR_ASSIGN_OR_RETURN(const TensorSpec* packed,
                         require_tensor(source, module + kPacked, int4 ? DType::kI32 : DType::kU8));
  if (packed->shape.size() != 2 || packed->byte_size() == 0) {
    return bad_stored(packed->name, describe(*packed) + ", where a matrix is needed");
  }
  const int64_t rows = packed->shape[0];
  const int64_t cols = packed->shape[1] * (int4 ? 8 : 2);
  if (cols % scheme.group_size != 0) {
    return bad_stored(packed->name, std::to_string(cols) + " columns, not divisible by groups of " +
                                        std::to_string(scheme.group_size));
  }
  ROTOR_ASSIGN_OR_RETURN(const QuantScheme as_stored, stored_scheme(module, scheme, source));
  ROTOR_RETURN_IF_ERROR(
      require_shape(*source.find(module + kScale), {rows, cols / as_stored.group_size}));
  if (int4) {
    ROTOR_RETURN_IF_ERROR(check_weight_shape(source, module + kShape, rows, cols));
  }
  return QuantizedModule{module, rows, cols, 0};
}

Result<QuantizedMatrix> CompressedTensorsLayout::decode_rows(const std::string& module,
                                                             const QuantScheme& scheme,
                                                             const TensorSource& source,
                                                             int64_t first_row,
                                                             int64_t rows) const {
  ROTOR_ASSIGN_OR_RETURN(const QuantizedModule shape, stored_shape(module, scheme, source));
  if (first_row < 0 || rows < 0 || first_row > shape.rows || rows > shape.rows - first_row) {
    return out_of_range("module " + module + ": rows " + std::to_string(first_row) + " + " +
                        std::to_string(rows) + " of " + std::to_string(shape.rows));
  }
  QuantizedMatrix matrix;
  ROTOR_ASSIGN_OR_RETURN(matrix.scheme, stored_scheme(module, scheme, source));
  matrix.rows = rows;
  matrix.cols = shape.cols;
  const int64_t code_row = matrix.cols / 2;
  const int64_t scale_row = matrix.groups() * dtype_size(matrix.scheme.scale_dtype);
  matrix.codes.resize(static_cast<size_t>(rows * code_row));
  matrix.scales.resize(static_cast<size_t>(rows * scale_row));
  ROTOR_RETURN_IF_ERROR(source.read(module + kPacked, first_row * code_row, matrix.codes.data(),
                                    matrix.codes.size()));
  ROTOR_RETURN_IF_ERROR(source.read(module + kScale, first_row * scale_row, matrix.scales.data(),
                                    matrix.scales.size()));
  if (scheme.format == Format::kNvfp4) {
    ROTOR_ASSIGN_OR_RETURN(matrix.global_scale, read_global_scale(source, module + kGlobalScale));
    if (source.find(module + kInputGlobalScale) != nullptr) {
      ROTOR_ASSIGN_OR_RETURN(matrix.input_global_scale,
                             read_global_scale(source, module + kInputGlobalScale));
    }
  }
  return matrix;
}

std::string CompressedTensorsLayout::module_of_codes(const std::string& tensor_name) const {
  if (!tensor_name.ends_with(kPacked)) {
    return {};
  }
  return tensor_name.substr(0, tensor_name.size() - std::strlen(kPacked));
}

std::vector<StoredTensor> CompressedTensorsLayout::rotation_tensors(
    const QuantizationInfo& info) const {
  std::vector<StoredTensor> tensors;
  for (const RotationGroup& group : rotation_groups(info)) {
    tensors.push_back(
        sylvester_tensor(rotation_tensor_name(group.first_module, group.name), group.block));
  }
  return tensors;
}

Result<std::string> CompressedTensorsLayout::config_json(std::string_view source_config,
                                                         const QuantizationInfo& info) const {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json quantization, compressed_tensors_config(info));
  return add_quantization_config(source_config, std::move(quantization));
}

}  // namespace rotor
