// The tensors that a quantized module's weight gives way to. A layout is a row of this table for
// each format; writing and reading are the same code for all of them.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/dtype.h"
#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/quantized_matrix.h"

namespace rotor {

/// Names are what follows the module's, dot included; an empty one: the layout has no such tensor.
struct ModuleTable {
  std::string_view codes;               // [rows, cols / codes_per_element]
  DType codes_dtype = DType::kU8;       // U8, two codes an element, or I32, eight
  std::string_view scales;              // [rows, cols / group]
  DType scales_dtype = DType::kF8E4M3;  // what the file calls scheme.scale_dtype
  std::string_view shape;               // I64 [2]: rows, cols
  std::string_view global_scale;        // F32, `scalar_shape`
  std::string_view input_global_scale;  // with a4 alone; as above
  std::vector<int64_t> scalar_shape = {1};

  int64_t codes_per_element() const { return codes_dtype == DType::kI32 ? 8 : 2; }
};

/// In the order that encode_module uses: codes, scales, shape, global scales.
std::vector<TensorSpec> module_specs(const ModuleTable& table, const QuantizedModule& module,
                                     const QuantScheme& scheme, Activations activations);

/// The tensors of module_specs with their bytes; codes and scales are moved, not copied. Errors:
/// INTERNAL, naming the module, for a matrix whose sizes or global scales do not fit.
Result<std::vector<StoredTensor>> encode_module(const ModuleTable& table, const std::string& module,
                                                Activations activations, QuantizedMatrix&& matrix);

/// The shape [rows, cols] of a stored module, from its tensors. Errors: DATA_LOSS, reason
/// BAD_CHECKPOINT, for a tensor that is missing or of the wrong dtype or shape.
Result<QuantizedModule> stored_module(const ModuleTable& table, const std::string& module,
                                      const QuantScheme& scheme, const TensorSource& source);

/// Rows [first_row, first_row + rows). The result's scheme.scale_dtype is that of the stored scales
/// for INT4, whose dtype only they know. Errors: as above, and for a global scale that is not
/// positive and finite, or not 3 where the scheme says so.
Result<QuantizedMatrix> decode_module_rows(const ModuleTable& table, const std::string& module,
                                           const QuantScheme& scheme, const TensorSource& source,
                                           int64_t first_row, int64_t rows);

}  // namespace rotor
