// The seam for checkpoints whose weights are stored in a quantized form (an FP8 model, experts in
// MXFP4): what the model is made of is decoded as it is read. A form is one subclass; the table of
// forms is model/stored_form.h. Nothing behind SourceWeights knows that there are any: workers, the
// assembler and evaluation read tensors of BF16, F16 or F32.
//
// Rejected: to decode on the device (bytes would travel twice as fast, but each backend, and the
// coordinator beside them, would have to know every form).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/scheme.h"

namespace rotor {

/// One tensor of the model that is made of stored ones. Thread-safety: const, from any thread.
class DecodedTensor {
 public:
  explicit DecodedTensor(TensorSpec spec) : spec_(std::move(spec)) {}
  virtual ~DecodedTensor() = default;

  /// As the model has it.
  const TensorSpec& spec() const { return spec_; }

  /// The stored tensors that it is made of. They are no tensors of the model, unless one of them
  /// has this one's name; several decoded tensors may share them.
  virtual std::vector<std::string> parts() const = 0;

  /// The format of the codes where they have 4 bits: a weight that has lost accuracy before.
  virtual std::optional<Format> four_bit_format() const { return std::nullopt; }

  /// Rows [first, first + count) in spec().dtype to `out`. A row runs over the last dimension; a
  /// vector is one row. Errors: those of `stored`.
  virtual Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                           void* out) const = 0;

 private:
  TensorSpec spec_;
};

using DecodedTensors = std::vector<std::unique_ptr<const DecodedTensor>>;

}  // namespace rotor
