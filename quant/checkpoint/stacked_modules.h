// Tensors of a file that hold those of several modules: the experts of a layer as one. Workers make
// the modules' own tensors, pieces of these; the checkpoint is put together of them.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// [E, R * L, ...]: of expert e, row r * L + l is row r of the piece e * L + l. All pieces have R
/// rows of as many bytes.
struct StackedTensor {
  TensorSpec spec;
  std::vector<std::string> pieces;
  int64_t interleaved = 1;  // L
};

/// The whole of a piece, by its name.
using PieceReader = std::function<Result<std::vector<uint8_t>>(const std::string& name)>;
/// Takes bytes of the stacked tensor from `offset` on.
using StackWriter = std::function<Status(int64_t offset, std::span<const uint8_t> bytes)>;

/// Writes the tensor an expert at a time; memory is twice an expert's. Errors: those of reading and
/// writing; INTERNAL for a piece of another size.
Status write_stacked(const StackedTensor& tensor, const PieceReader& read,
                     const StackWriter& write);

/// The tensors of a checkpoint where those of `stacks` stand for their pieces, each in the place of
/// its first one.
std::vector<TensorSpec> with_stacked(const std::vector<StackedTensor>& stacks,
                                     std::vector<TensorSpec> tensors);

}  // namespace rotor
