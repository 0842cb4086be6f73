// A checkpoint layout: how quantized modules are named, typed and shaped in files, and what
// config.json says about them. One subclass a layout; formats.md has their tables.
//
// Thread-safety: layouts have no state.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/module_tensors.h"
#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/stacked_modules.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/io/file.h"
#include "quant/quantized_matrix.h"

namespace rotor {

/// The matrix of an online rotation, and the quantized module that it is named after.
struct RotationTensor {
  std::string module;
  StoredTensor tensor;
};

/// A file beside the tensors, by its name in the directory.
struct TextFile {
  std::string name;
  std::string text;
};

class CheckpointLayout {
 public:
  virtual ~CheckpointLayout() = default;
  virtual Layout kind() const = 0;

  /// What a module's tensors are called and how they are stored. The scheme is one that make_scheme
  /// made for this layout, of a format that it can hold.
  virtual ModuleTable table(const QuantScheme& scheme) const = 0;
  /// The module whose codes this tensor holds; empty for any other tensor. What tells a quantized
  /// module when a checkpoint is read.
  virtual std::string module_of_codes(const TensorSpec& tensor) const = 0;

  /// The tensors that the rotations of `info` need besides the modules' own, in model order.
  virtual std::vector<RotationTensor> rotation_tensors(const QuantizationInfo& info) const = 0;

  /// The tensors of the file that hold those of several modules; none in most layouts.
  virtual std::vector<StackedTensor> stacked_tensors(const QuantizationInfo& info) const;

  /// The source's config.json with every key in its order and `quantization_config` put at its end.
  /// Errors: INVALID_ARGUMENT if the source is no JSON object or is quantized already, or if the
  /// layout has no words for `info` (reason UNSUPPORTED_COMBINATION).
  virtual Result<std::string> config_json(std::string_view source_config,
                                          const QuantizationInfo& info) const = 0;
  /// What else belongs into the directory; it takes the place of a source's file of that name.
  virtual Result<std::vector<TextFile>> other_files(const QuantizationInfo& info) const;
  /// Whether those files of a written checkpoint agree with its config.json. Errors: those of
  /// reading them; INVALID_ARGUMENT, reason BAD_CONFIG.
  virtual Status check_other_files(FileSystem& fs, const std::string& directory,
                                   const StoredQuantization& quantization) const;

  /// What `module`.weight gives way to, in the order that encode uses.
  std::vector<TensorSpec> tensor_specs(const QuantizedModule& module, const QuantScheme& scheme,
                                       Activations activations) const;
  /// encode_module, decode_module_rows and stored_module (module_tensors.h) by this layout's table.
  Result<std::vector<StoredTensor>> encode(const std::string& module, Activations activations,
                                           QuantizedMatrix&& matrix) const;
  virtual Result<QuantizedMatrix> decode_rows(const std::string& module, const QuantScheme& scheme,
                                              const TensorSource& source, int64_t first_row,
                                              int64_t rows) const;
  virtual Result<QuantizedModule> stored_shape(const std::string& module, const QuantScheme& scheme,
                                               const TensorSource& source) const;
  /// Whole module.
  Result<QuantizedMatrix> decode(const std::string& module, const QuantScheme& scheme,
                                 const TensorSource& source) const;
};

const CheckpointLayout& find_layout(Layout kind);

/// `tensor` without `suffix`; empty if it does not end in it.
std::string module_with_suffix(const std::string& tensor, std::string_view suffix);

/// No config.json is read beyond this; those of the largest mixtures, whose ignore lists name every
/// expert, are a tenth of it.
inline constexpr int64_t kMaxConfigBytes = int64_t{1} << 26;

/// Reads `quantization_config` of a config.json. Errors: INVALID_ARGUMENT, reason BAD_CONFIG,
/// naming file, key and value for all that Rotor would have to ignore; NOT_FOUND, reason
/// NOT_QUANTIZED, if the key is absent or is that of a source model in FP8.
Result<StoredQuantization> parse_quantization_config(std::string_view config_text,
                                                     const std::string& path);

/// What config_json of every layout does with the object it made. Errors: as there.
Result<std::string> add_quantization_config(std::string_view source_config,
                                            nlohmann::ordered_json quantization);

/// Every tensor of the written checkpoint, in order: the source's, with each quantized module's
/// weight giving way to its own or to the stack it belongs to, and a rotation tensor behind those
/// of the module it is named after. Errors: INVALID_ARGUMENT for a module whose weight the source
/// lacks or holds in another shape.
Result<std::vector<TensorSpec>> checkpoint_tensors(const CheckpointLayout& layout,
                                                   const QuantizationInfo& info,
                                                   const std::vector<TensorSpec>& source);

}  // namespace rotor
