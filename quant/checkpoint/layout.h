// A checkpoint layout: how quantized modules are named, typed and shaped in files, and what
// config.json says about them. One subclass a layout; formats.md has their tables.
//
// Thread-safety: layouts have no state.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/quantized_matrix.h"

namespace rotor {

class CheckpointLayout {
 public:
  virtual ~CheckpointLayout() = default;
  virtual Layout kind() const = 0;

  /// What `module`.weight gives way to, in the order that encode uses.
  virtual std::vector<TensorSpec> tensor_specs(const QuantizedModule& module,
                                               const QuantScheme& scheme,
                                               Activations activations) const = 0;

  /// The tensors of tensor_specs with their bytes; codes and scales are moved, not copied. Errors:
  /// INTERNAL, naming module and field, for a matrix whose sizes or global scales do not fit.
  virtual Result<std::vector<StoredTensor>> encode(const std::string& module,
                                                   Activations activations,
                                                   QuantizedMatrix&& matrix) const = 0;

  /// Rows [first_row, first_row + rows) of a stored module; its shape comes from its tensors. The
  /// result's scheme.scale_dtype is that of the stored tensor. Errors: DATA_LOSS, reason
  /// BAD_CHECKPOINT, for a tensor that is missing or of the wrong dtype or shape, or a global scale
  /// that is not positive and finite.
  virtual Result<QuantizedMatrix> decode_rows(const std::string& module, const QuantScheme& scheme,
                                              const TensorSource& source, int64_t first_row,
                                              int64_t rows) const = 0;
  /// The shape [rows, cols] of a stored module; errors as above.
  virtual Result<QuantizedModule> stored_shape(const std::string& module, const QuantScheme& scheme,
                                               const TensorSource& source) const = 0;
  /// The module whose codes this tensor holds; empty for any other tensor. What tells a quantized
  /// module when a checkpoint is read.
  virtual std::string module_of_codes(const std::string& tensor_name) const = 0;

  /// The tensors that the rotations of `info` need besides the modules' own, each with its name's
  /// module in model order: for compressed-tensors one [block, block] matrix a block size.
  virtual std::vector<StoredTensor> rotation_tensors(const QuantizationInfo& info) const = 0;

  /// The source's config.json with every key in its order and `quantization_config` put at its end.
  /// Errors: INVALID_ARGUMENT if the source is no JSON object or is quantized already.
  virtual Result<std::string> config_json(std::string_view source_config,
                                          const QuantizationInfo& info) const = 0;

  /// Whole module.
  Result<QuantizedMatrix> decode(const std::string& module, const QuantScheme& scheme,
                                 const TensorSource& source) const;
};

/// Errors: UNIMPLEMENTED, listing the layouts that can be written.
Result<const CheckpointLayout*> find_layout(Layout kind);

/// No config.json is read beyond this; those of the largest mixtures, whose ignore lists name every
/// expert, are a tenth of it.
inline constexpr int64_t kMaxConfigBytes = int64_t{1} << 26;

/// Reads `quantization_config` of a config.json. Errors: INVALID_ARGUMENT, reason BAD_CONFIG,
/// naming file, key and value for all that Rotor would have to ignore; NOT_FOUND, reason
/// NOT_QUANTIZED, if the key is absent.
Result<StoredQuantization> parse_quantization_config(std::string_view config_text,
                                                     const std::string& path);

/// What config_json of every layout does with the object it made. Errors: as there.
Result<std::string> add_quantization_config(std::string_view source_config,
                                            nlohmann::ordered_json quantization);

/// Every tensor of the written checkpoint, in order: the source's, with each quantized module's
/// weight giving way to its own, and a rotation tensor behind those of the module it is named
/// after. Errors: INVALID_ARGUMENT for a module whose weight the source lacks or holds in another
/// shape.
Result<std::vector<TensorSpec>> checkpoint_tensors(const CheckpointLayout& layout,
                                                   const QuantizationInfo& info,
                                                   const std::vector<TensorSpec>& source);

}  // namespace rotor
