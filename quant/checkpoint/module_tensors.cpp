#include "quant/checkpoint/module_tensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

namespace rotor {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they are in memory");

std::string name_of(const std::string& module, std::string_view tensor) {
  return module + std::string(tensor);
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

bool usable(float global_scale, const QuantScheme& scheme) {
  return scheme.global == GlobalScale::kThree ? global_scale == 3.0F
                                              : std::isfinite(global_scale) && global_scale > 0.0F;
}

Status check_matrix(const ModuleTable& table, const std::string& module, Activations activations,
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
  if (!table.global_scale.empty() && !usable(matrix.global_scale, scheme)) {
    return bad_matrix(module, "global scale " + std::to_string(matrix.global_scale));
  }
  const bool input = !table.input_global_scale.empty() && activations == Activations::kA4;
  if (input && !usable(matrix.input_global_scale, scheme)) {
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

Result<float> read_global_scale(const ModuleTable& table, const QuantScheme& scheme,
                                const TensorSource& source, const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const TensorSpec* spec, require_tensor(source, name, DType::kF32));
  ROTOR_RETURN_IF_ERROR(require_shape(*spec, table.scalar_shape));
  float value = 0.0F;
  ROTOR_RETURN_IF_ERROR(source.read(name, 0, &value, sizeof(value)));
  if (!usable(value, scheme)) {
    return bad_stored(name, std::to_string(value) + ", where " +
                                (scheme.global == GlobalScale::kThree ? "3" : "a positive number") +
                                " is needed");
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
Result<QuantScheme> stored_scheme(const ModuleTable& table, const std::string& module,
                                  QuantScheme scheme, const TensorSource& source) {
  const std::string name = name_of(module, table.scales);
  const TensorSpec* spec = source.find(name);
  DType dtype = table.scales_dtype;
  const bool is_float =
      spec != nullptr &&
      (spec->dtype == DType::kBf16 || spec->dtype == DType::kF16 || spec->dtype == DType::kF32);
  if (scheme.format == Format::kInt4 && is_float) {
    dtype = spec->dtype;
    scheme.scale_dtype = dtype;
  }
  ROTOR_ASSIGN_OR_RETURN(spec, require_tensor(source, name, dtype));
  return scheme;
}

}  // namespace

std::vector<TensorSpec> module_specs(const ModuleTable& table, const QuantizedModule& module,
                                     const QuantScheme& scheme, Activations activations) {
  const int64_t rows = module.rows;
  std::vector<TensorSpec> specs{{name_of(module.name, table.codes),
                                 table.codes_dtype,
                                 {rows, module.cols / table.codes_per_element()}},
                                {name_of(module.name, table.scales),
                                 table.scales_dtype,
                                 {rows, module.cols / scheme.group_size}}};
  if (!table.shape.empty()) {
    specs.push_back({name_of(module.name, table.shape), DType::kI64, {2}});
  }
  if (!table.global_scale.empty()) {
    specs.push_back({name_of(module.name, table.global_scale), DType::kF32, table.scalar_shape});
  }
  if (!table.input_global_scale.empty() && activations == Activations::kA4) {
    specs.push_back(
        {name_of(module.name, table.input_global_scale), DType::kF32, table.scalar_shape});
  }
  return specs;
}

Result<std::vector<StoredTensor>> encode_module(const ModuleTable& table, const std::string& module,
                                                Activations activations, QuantizedMatrix&& matrix) {
  ROTOR_RETURN_IF_ERROR(check_matrix(table, module, activations, matrix));
  const std::vector<TensorSpec> specs =
      module_specs(table, {module, matrix.rows, matrix.cols, 0}, matrix.scheme, activations);
  std::vector<StoredTensor> tensors;
  tensors.push_back({specs[0], std::move(matrix.codes)});
  tensors.push_back({specs[1], std::move(matrix.scales)});
  for (size_t i = 2; i < specs.size(); ++i) {
    const std::string_view suffix = std::string_view(specs[i].name).substr(module.size());
    if (suffix == table.shape) {
      tensors.push_back(stored<int64_t>(specs[i], {matrix.rows, matrix.cols}));
    } else {
      const bool input = suffix == table.input_global_scale;
      tensors.push_back(
          stored<float>(specs[i], {input ? matrix.input_global_scale : matrix.global_scale}));
    }
  }
  return tensors;
}

Result<QuantizedModule> stored_module(const ModuleTable& table, const std::string& module,
                                      const QuantScheme& scheme, const TensorSource& source) {
  ROTOR_ASSIGN_OR_RETURN(const TensorSpec* codes,
                         require_tensor(source, name_of(module, table.codes), table.codes_dtype));
  if (codes->shape.size() != 2 || codes->byte_size() == 0) {
    return bad_stored(codes->name, describe(*codes) + ", where a matrix is needed");
  }
  const int64_t rows = codes->shape[0];
  const int64_t cols = codes->shape[1] * table.codes_per_element();
  if (cols % scheme.group_size != 0) {
    return bad_stored(codes->name, std::to_string(cols) + " columns, not divisible by groups of " +
                                       std::to_string(scheme.group_size));
  }
  ROTOR_RETURN_IF_ERROR(stored_scheme(table, module, scheme, source).status());
  ROTOR_RETURN_IF_ERROR(
      require_shape(*source.find(name_of(module, table.scales)), {rows, cols / scheme.group_size}));
  if (!table.shape.empty()) {
    ROTOR_RETURN_IF_ERROR(check_weight_shape(source, name_of(module, table.shape), rows, cols));
  }
  return QuantizedModule{module, rows, cols, 0};
}

Result<QuantizedMatrix> decode_module_rows(const ModuleTable& table, const std::string& module,
                                           const QuantScheme& scheme, const TensorSource& source,
                                           int64_t first_row, int64_t rows) {
  ROTOR_ASSIGN_OR_RETURN(const QuantizedModule shape, stored_module(table, module, scheme, source));
  if (first_row < 0 || rows < 0 || first_row > shape.rows || rows > shape.rows - first_row) {
    return out_of_range("module " + module + ": rows " + std::to_string(first_row) + " + " +
                        std::to_string(rows) + " of " + std::to_string(shape.rows));
  }
  QuantizedMatrix matrix;
  ROTOR_ASSIGN_OR_RETURN(matrix.scheme, stored_scheme(table, module, scheme, source));
  matrix.rows = rows;
  matrix.cols = shape.cols;
  const int64_t code_row = matrix.cols / 2;
  const int64_t scale_row = matrix.groups() * dtype_size(matrix.scheme.scale_dtype);
  matrix.codes.resize(static_cast<size_t>(rows * code_row));
  matrix.scales.resize(static_cast<size_t>(rows * scale_row));
  ROTOR_RETURN_IF_ERROR(source.read(name_of(module, table.codes), first_row * code_row,
                                    matrix.codes.data(), matrix.codes.size()));
  ROTOR_RETURN_IF_ERROR(source.read(name_of(module, table.scales), first_row * scale_row,
                                    matrix.scales.data(), matrix.scales.size()));
  if (!table.global_scale.empty()) {
    ROTOR_ASSIGN_OR_RETURN(
        matrix.global_scale,
        read_global_scale(table, scheme, source, name_of(module, table.global_scale)));
  }
  const std::string input = name_of(module, table.input_global_scale);
  if (!table.input_global_scale.empty() && source.find(input) != nullptr) {
    ROTOR_ASSIGN_OR_RETURN(matrix.input_global_scale,
                           read_global_scale(table, scheme, source, input));
  }
  return matrix;
}

}  // namespace rotor
