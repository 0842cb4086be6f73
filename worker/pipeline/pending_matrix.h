// A solved module whose codes and scales are on their way to the host.
//
// Thread-safety: take() on any one thread. Errors: those of Download.
#pragma once

#include <cstddef>
#include <memory>

#include "quant/quantized_matrix.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

struct PendingMatrix {
  QuantizedMatrix matrix;  // all but codes and scales
  std::shared_ptr<Download> codes;
  std::shared_ptr<Download> scales;
  size_t code_bytes = 0;
  size_t scale_bytes = 0;

  size_t bytes() const { return code_bytes + scale_bytes; }
  /// Waits for both. Once.
  Result<QuantizedMatrix> take() {
    matrix.codes.resize(code_bytes);
    matrix.scales.resize(scale_bytes);
    ROTOR_RETURN_IF_ERROR(codes->take(matrix.codes.data(), code_bytes));
    ROTOR_RETURN_IF_ERROR(scales->take(matrix.scales.data(), scale_bytes));
    codes.reset();
    scales.reset();
    return std::move(matrix);
  }
};

}  // namespace rotor::worker
